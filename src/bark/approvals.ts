import { exact, exactName, oddIn } from "../lib/exact.ts";
import type { ApprovalQuestion } from "./monitor/monitor.ts";
import type { Answer } from "./monitor/monitor.ts";
import type { CagePlan } from "./cage/types.ts";
import { dbusLines } from "./cage/dbus.ts";
import { reachLines } from "./proxy/report.ts";

/** A question that cannot be shown whole is not asked. */
export type Rendered =
  | { readonly kind: "lines"; readonly lines: readonly string[] }
  | { readonly kind: "uninspectable"; readonly reason: string };

/** Lines that a person reads before an answer; what is longer cannot be inspected. */
const MOST_LINES = 400;
const MOST_WIDTH = 2000;

/**
 * An approval as a person sees it, made from what will be done and never from what the model says about it: that stands apart, at the end. Every
 * character that an eye could miss or a terminal would act on is spelled out; nothing is shortened.
 */
export function renderApproval(question: Omit<ApprovalQuestion, "intent" | "offer">): Rendered {
  const { skill, prepared, decision, context, remark, rehearsal } = question;
  const { effect, object, operation } = prepared;
  const what = ((): readonly string[] => {
    switch (effect.kind) {
      case "process":
        return [
          ...exactly(effect.plan),
          ...(effect.stdin === null ? [] : ["It is fed:", ...indented(new TextDecoder().decode(effect.stdin))]),
        ];
      case "changes":
        return ["It changes:", ...effect.diff.replace(/\n$/u, "").split("\n").map(diffLine)];
      case "store":
        return ["It writes into memory:", ...indented(effect.text)];
      case "answer":
        return [];
    }
  })();
  const lines = [
    `${skill} wants to ${VERBS[operation]} ${exactName(object.kind === "code" ? "a program of its own" : object.name)}.`,
    decision.reason,
    ...what,
    `Comes from: ${context.i >= 3 ? "what you typed" : context.i >= 1 ? "a mixture of yours and others' text" : "text from outside"}${context.p.length === 0 ? "" : ` (${context.p.map(exactName).join(", ")})`}.`,
    `Can be taken back: ${prepared.changesState ? (effect.kind === "store" ? "no" : "yes, what it changes in the workspace (noctem bark undo)") : "it changes nothing"}.`,
    ...(remark === null ? [] : ["The model says (believe nothing of it):", ...indented(remark)]),
  ];
  const odd = oddIn(lines.join("\n"));
  // After what it is about, before anybody has read far.
  if (odd > 0) lines.splice(1, 0, `⚠ ${odd} of its characters are spelled out as \\u{…}: they cannot be seen, or look like others.`);
  if (lines.some((line) => ENCODED_NAME.test(line)))
    lines.splice(1, 0, "⚠ A name with xn-- in it stands for letters of other scripts. Elsewhere it may look like a name that you know.");
  if (lines.length > MOST_LINES || lines.some((line) => line.length > MOST_WIDTH))
    return { kind: "uninspectable", reason: `It has ${lines.length} lines, or one that is too long to read: nobody could check it.` };
  if (rehearsal === null) return { kind: "lines", lines };
  // Bounded by who made it; what is long in it may be cut, because the answer is about what stands above.
  const seen = rehearsal.lines.map((line) => exact(line.slice(0, MOST_WIDTH)));
  return {
    kind: "lines",
    lines: [...lines, "Rehearsed on a copy, without a network; nothing was kept:", ...seen.map((line) => `  | ${line}`)],
  };
}

const VERBS = { read: "read", write: "change", run: "run", send: "send", fetch: "fetch" } as const;

function exactly({ argv, workspace, network, limits, inputs = [], dbus = [] }: CagePlan): readonly string[] {
  const where =
    workspace === null
      ? "without any of your files"
      : `in ${exactName(workspace.inside)}${workspace.git === undefined ? "" : ` and its git repository ${exactName(workspace.git.host)}`}, ${workspace.mode === "read" ? "which it can only read" : "on a copy; what it changes is checked before it is written"}`;
  return [
    `Exactly: ${argv.map(quoted).join(" ")}`,
    `It runs ${where}, ${network.kind === "none" ? "without a network" : "with a network"}, for at most ${Math.round(limits.wallMs / 1000)} s.`,
    ...(network.kind === "none" ? [] : reachLines(network.reach)),
    ...(dbus.length === 0 ? [] : [`It may speak to programs of your session: ${dbusLines(dbus).join("; ")}.`]),
    ...(inputs.length === 0 ? [] : [`It goes by these files as they are now: ${inputs.map(({ path }) => exactName(path)).join(", ")}.`]),
  ];
}

/** RFC 3490. */
const ENCODED_NAME = /(?:^|[^a-z0-9-])xn--[a-z0-9]/iu;

/** The names of files stand in it as well. */
const diffLine = (line: string): string => `  | ${/^(?:---|\+\+\+|Index:) /.test(line) ? exactName(line) : exact(line)}`;

/** As a shell would have to be told; so that one word never looks like two. */
const quoted = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${exactName(word).replaceAll("'", String.raw`'\''`)}'`;

const indented = (text: string): readonly string[] =>
  text
    .replace(/\n$/u, "")
    .split("\n")
    .map((line) => `  | ${exact(line)}`);

/** Milliseconds without a key before one counts: what was typed ahead, or meant for something else, decides nothing. */
const QUIET = 700;
const MOST_TYPED = 300;

/** The answer being typed. Enter alone, or anything but the whole word, never approves. */
export interface AnswerState {
  readonly typed: string;
  /** When the last key came, or the question was drawn. Milliseconds. */
  readonly lastKey: number;
  /** Keys count from now on. */
  readonly listening: boolean;
  readonly answer: Answer | "rehearse" | "always" | null;
  /** What was said with a no, for the model. */
  readonly reason: string | null;
  /** Whether "r" or "rehearse" is an answer here. */
  readonly mayRehearse: boolean;
  /** Whether "always" is. */
  readonly mayAlways: boolean;
  /** The last word was none that counts. */
  readonly puzzled: boolean;
}

export const newAnswer = (now: number, mayRehearse = false, mayAlways = false): AnswerState => ({
  typed: "",
  lastKey: now,
  listening: false,
  answer: null,
  reason: null,
  mayRehearse,
  mayAlways,
  puzzled: false,
});

/** One key, a character or "enter", "backspace", "cancel". */
export function answerKey(state: AnswerState, key: string, now: number): AnswerState {
  if (state.answer !== null) return state;
  if (key === "cancel") return { ...state, answer: "denied" };
  if (!state.listening) {
    const listening = now - state.lastKey >= QUIET;
    if (!listening) return { ...state, lastKey: now };
    return answerKey({ ...state, listening, lastKey: now }, key, now);
  }
  if (key === "backspace") return { ...state, typed: state.typed.slice(0, -1), lastKey: now };
  if (key !== "enter") return { ...state, typed: (state.typed + key).slice(0, MOST_TYPED), lastKey: now, puzzled: false };
  const [, reason] = /^\s*no:\s*(\S.*?)\s*$/iu.exec(state.typed) ?? [];
  if (reason !== undefined) return { ...state, answer: "denied", reason };
  const word = state.typed.trim().toLowerCase();
  if (word === "yes") return { ...state, answer: "allowed" };
  if (word === "no" || word === "n") return { ...state, answer: "denied" };
  if (state.mayRehearse && (word === "r" || word === "rehearse")) return { ...state, answer: "rehearse" };
  if (state.mayAlways && word === "always") return { ...state, answer: "always" };
  return { ...state, typed: "", lastKey: now, puzzled: word !== "" };
}
