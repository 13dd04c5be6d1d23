import type { AuditLog } from "../audit/log.ts";
import { renderApproval } from "../bark/approvals.ts";
import { waitingDesk } from "../bark/asking/desk.ts";
import { type GrantHolder, grantHolder } from "../bark/grants/holder.ts";
import { type GrantPattern, parsePattern, patternText } from "../bark/grants/pattern.ts";
import type { ApprovalDesk, Reply } from "../bark/monitor/monitor.ts";
import type { StickLayout } from "../config/layout.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { Explained } from "../headless/result-object.ts";
import type { OpenHeart } from "../heart/open.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { askOnTerminal } from "../platform/approval-terminal.ts";
import { auditCrypto, stickKey } from "../platform/audit-crypto.ts";
import { heartDeps } from "../platform/heart.ts";
import { systemTimers } from "../platform/timers.ts";
import { auditFailureText } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { heartErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { doorOf, type ParentGate, parentGate } from "./parent-gate.ts";

export type Asking = { readonly kind: "deny" } | { readonly kind: "prompt" } | { readonly kind: "wait"; readonly seconds: number };

/** The error is a sentence. */
export function askingOf(text: string | undefined, io: Pick<CommandIo, "stdinIsTerminal" | "stderrIsTerminal">): Result<Asking, string> {
  const here = io.stdinIsTerminal && io.stderrIsTerminal;
  if (text === undefined) return ok({ kind: here ? "prompt" : "deny" });
  if (text === "deny") return ok({ kind: "deny" });
  if (text === "prompt")
    return here ? ok({ kind: "prompt" }) : err("--approvals prompt needs a terminal; wait=SECONDS leaves the question to another one.");
  const seconds = Number(/^wait=(\d{1,5})$/.exec(text)?.[1] ?? Number.NaN);
  return seconds >= 1 && seconds <= 86_400
    ? ok({ kind: "wait", seconds })
    : err(`--approvals is one of deny, prompt and wait=SECONDS (1 to 86400), not "${forTerminal(text.slice(0, 60))}".`);
}

export interface ApprovalParts {
  readonly layout: StickLayout;
  readonly heart: OpenHeart;
  readonly log: AuditLog;
  readonly io: CommandIo;
  readonly workspace: string;
}

export const gateOf = ({ layout, heart, log, io }: Omit<ApprovalParts, "workspace">): ParentGate =>
  parentGate(doorOf(layout, heart, io), io, (what, detail) => {
    if (what === "refused") heart.incidents.count("parent.refused", 2, detail);
    const written = log.parent({ what, detail });
    return written.ok ? ok(undefined) : err(auditFailureText(written.error));
  });

export function grantsOf({ layout, heart, log, io, workspace }: ApprovalParts, allowed: readonly GrantPattern[]): GrantHolder {
  const { clock, random } = heartDeps();
  const stick = () => stickKey(layout.keys, heart.id);
  return grantHolder({
    heart: heart.grants,
    clock,
    random,
    crypto: auditCrypto,
    workspace,
    trusted() {
      const parent = doorOf(layout, heart, io).parent();
      if (!parent.ok) return parent;
      if (parent.value !== null) return ok({ by: "parent", publicKey: parent.value.publicKey });
      const own = stick();
      return own.ok ? ok({ by: "stick", publicKey: own.value.publicKey }) : own;
    },
    stick,
    log(line) {
      const written = log.grant(line);
      return written.ok ? ok(undefined) : err(auditFailureText(written.error));
    },
    describe: (error) => heartErrorText(error).text,
    allowed,
    tell: (sentence) => io.err(`noctem: ${forTerminal(sentence)}\n`),
  });
}

/** With a parent a pattern only names what they signed. */
export function allowedBy(text: string | undefined, parts: ApprovalParts): Result<readonly GrantPattern[], Explained> {
  if (text === undefined) return ok([]);
  const pattern = parsePattern(text);
  if (!pattern.ok) return err({ text: `--allow: ${pattern.error}`, code: ExitCode.USAGE });
  const parent = doorOf(parts.layout, parts.heart, parts.io).parent();
  if (!parent.ok) return err({ text: parent.error, code: ExitCode.DENIED });
  if (parent.value === null) return ok([pattern.value]);
  const wanted = patternText(pattern.value);
  const signed = grantsOf(parts, [])
    .list()
    .some(({ state, body }) => state === "good" && body.pattern === wanted);
  // It is used as that grant, with its end and its count.
  return signed
    ? ok([])
    : err({
        text: `--allow: this stick has a parent, who did not sign ${wanted}. They may: noctem approvals grants add '${wanted}'`,
        code: ExitCode.DENIED,
      });
}

export function deskFor(asking: Asking, parts: ApprovalParts, gate: ParentGate): ApprovalDesk | null {
  switch (asking.kind) {
    case "deny":
      return null;
    case "prompt":
      return terminalDesk(parts.io, gate);
    case "wait":
      return honouring(heartDesk(asking.seconds, parts), gate);
  }
}

/** A yes of somebody who may not give it is none: a heart may have been answered by a program that knew of no parent. */
const honouring = (desk: ApprovalDesk, gate: ParentGate): ApprovalDesk => ({
  who: desk.who,
  async ask(question, signal) {
    const reply = await desk.ask(question, signal);
    if (typeof reply === "string" || reply.answer !== "allowed" || gate.honours(reply.by, question.decision.tier)) return reply;
    return { ...reply, answer: "unanswered", reason: "It was allowed by somebody else than the parent." };
  },
});

function heartDesk(seconds: number, { heart, log, io }: ApprovalParts): ApprovalDesk {
  const { clock, random } = heartDeps();
  return waitingDesk({
    heart: heart.approvals,
    clock,
    random,
    sha256: auditCrypto.sha256,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const stop = systemTimers.after(ms, resolve);
        signal.addEventListener("abort", () => (stop(), resolve()), { once: true });
      }),
    session: "console",
    waitMs: seconds * 1000,
    waiting: ({ id }) =>
      io.err(`noctem: This waits for an answer, ${seconds} s at most: noctem approvals show ${id.slice(0, 8)}, or Ctrl-O in the chat.\n`),
    describe: (error) => heartErrorText(error).text,
    flooded() {
      const detail = "More questions wait than anybody reads.";
      log.incident({ what: "approvals.flood", detail, severity: 3 });
      heart.incidents.count("approvals.flood", 3, detail);
    },
  });
}

function terminalDesk(io: CommandIo, gate: ParentGate): ApprovalDesk {
  const reply = (answer: Reply["answer"], more: Partial<Reply> = {}): Reply => ({
    answer,
    by: "console",
    reason: null,
    always: false,
    question: null,
    ...more,
  });
  return {
    who: "console",
    async ask(question, signal) {
      const rendered = renderApproval(question);
      if (rendered.kind === "uninspectable") {
        io.err(`noctem: This cannot be asked about: ${rendered.reason}\n`);
        return reply("denied");
      }
      const lines = question.offer?.lines ?? null;
      await io.flushed();
      const { answer, reason } = await askOnTerminal(
        rendered.lines,
        { mayRehearse: question.mayRehearse, mayAlways: lines !== null },
        io.err,
        signal,
      );
      if (answer === "rehearse") return answer;
      if (answer === "denied" || answer === "unanswered") return reply(answer, { reason });
      if (gate.needs(question.decision.tier)) {
        const passed = await gate.pass();
        if (!passed.ok) {
          io.err(`noctem: ${forTerminal(passed.error)}\n`);
          return reply("unanswered");
        }
        return reply("allowed", { by: passed.value });
      }
      if (answer === "allowed") return reply("allowed");
      // The exact grant is shown first, and the same word confirms it; anything else leaves it at this once.
      const sure = await askOnTerminal(
        [...(lines ?? []), "Type always once more to make it so, no to leave it."],
        { mayRehearse: false, mayAlways: true },
        io.err,
        signal,
      );
      if (sure.answer === "always") return reply("allowed", { always: true });
      return reply(sure.answer === "allowed" ? "allowed" : "denied");
    },
  };
}
