import type { AuditLog } from "../audit/log.ts";
import { type DecidingPorts, questions, takeAnswer, type Taken } from "../bark/asking/decide.ts";
import type { Question } from "../bark/asking/record.ts";
import type { StickLayout } from "../config/layout.ts";
import type { Explained } from "../headless/result-object.ts";
import type { OpenHeart } from "../heart/open.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { exact, exactName } from "../lib/exact.ts";
import { askOnTerminal } from "../platform/approval-terminal.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { heartDeps } from "../platform/heart.ts";
import { gateOf } from "./approval-desk.ts";
import { auditFailureText, stickLog } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { heartErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { openStickHeart } from "./heart-access.ts";
import { rememberParent } from "./parent-gate.ts";
import { failWith } from "./parent-run.ts";
import { heartExists, stickOf } from "./stick.ts";
import { localTime } from "./time-text.ts";

interface QuestionArguments {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
}
type Named = QuestionArguments & { readonly id: string };

/** Questions of a day that are read. */
const MOST = 500;

export interface AnsweringDesk extends Disposable {
  readonly layout: StickLayout;
  readonly heart: OpenHeart;
  readonly log: AuditLog;
  readonly deciding: DecidingPorts;
}

/** The heart, and a log of this process's own, begun with its first entry. */
export function answeringDesk(heartFile: string | undefined, io: CommandIo): Result<AnsweringDesk, Explained> {
  const layout = stickOf(io, heartFile);
  const opened = openStickHeart(layout);
  if (!opened.ok) return err(heartErrorText(opened.error));
  const heart = opened.value;
  rememberParent(layout, heart);
  const { log, deciding } = decidingOf(layout, heart);
  return ok({ layout, heart, log, deciding, [Symbol.dispose]: () => heart[Symbol.dispose]() });
}

export function decidingOf(layout: StickLayout, heart: OpenHeart): { readonly log: AuditLog; readonly deciding: DecidingPorts } {
  const { clock } = heartDeps();
  const log = stickLog(layout, heart);
  const deciding: DecidingPorts = {
    heart: heart.approvals,
    clock,
    sha256: auditCrypto.sha256,
    log({ intent, question, answer, digest, by, waitedMs }) {
      const written = log.approval({ of: intent, answer, digest, by, waited: waitedMs, question });
      return written.ok ? ok(undefined) : err(auditFailureText(written.error));
    },
    describe: (error) => heartErrorText(error).text,
  };
  return { log, deciding };
}

export function listQuestions({ json, heart, open }: QuestionArguments & { readonly open: boolean | undefined }, io: CommandIo): number {
  const none: readonly Question[] = [];
  const found = heartExists(stickOf(io, heart)) ? withDesk(heart, io, (desk) => questions(desk.deciding, MOST)) : ok(none);
  if (!found.ok) return failWith(found.error, json, io);
  const shown = found.value.filter(({ state }) => open !== true || state.kind === "open");
  if (json) io.out(`${JSON.stringify({ approvals: shown.map(questionJson) })}\n`);
  else if (shown.length === 0) io.err("noctem: Nothing waits for an answer.\n");
  else
    for (const question of shown) {
      const { id, pending, openedAt } = question;
      io.out(`${id.slice(0, 8)}  ${localTime(openedAt)}  ${stateText(question)}  ${pending.skill}: ${exactName(pending.object)}\n`);
    }
  return ExitCode.DONE;
}

export function showQuestion({ json, heart, id }: Named, io: CommandIo): number {
  const found = withDesk(heart, io, (desk) => named(desk, id));
  if (!found.ok) return failWith(found.error, json, io);
  if (!found.value.ok) return failWith(found.value.error, json, io);
  const question = found.value.value;
  if (json) io.out(`${JSON.stringify({ ...questionJson(question), lines: question.pending.lines, rehearsal: question.rehearsal })}\n`);
  else for (const line of shownLines(question)) io.out(`${line}\n`);
  return ExitCode.DONE;
}

/** As it was rendered when it was asked; made safe there, and sealed. What a terminal would act on is spelled once more, should a newer version have written it. */
const shownLines = (question: Question): readonly string[] => [
  ...question.pending.lines.map(exact),
  ...(question.rehearsal ?? []).map(exact),
  `Tier ${question.pending.tier}, rule ${exact(question.pending.rule)}. Asked ${localTime(question.openedAt)}; ${stateText(question)}.`,
];

export async function allowQuestion({ json, heart, id }: Named, io: CommandIo): Promise<number> {
  const made = answeringDesk(heart, io);
  if (!made.ok) return failWith(made.error, json, io);
  using desk = made.value;
  const found = named(desk, id);
  if (!found.ok) return failWith(found.error, json, io);
  const question = found.value;
  if (question.state.kind !== "open") return tell({ kind: "settled", question }, question, "allowed", json, io);
  if (!io.stdinIsTerminal || !io.stderrIsTerminal)
    return failWith(
      { text: "A yes is typed on a terminal, and no option gives it. Nothing was decided.", code: ExitCode.NO_APPROVAL },
      json,
      io,
    );
  await io.flushed();
  const { answer, reason } = await askOnTerminal(shownLines(question), { mayRehearse: false, mayAlways: false }, io.err, io.signal);
  if (answer !== "allowed" && answer !== "denied")
    return failWith({ text: "Nothing was decided; it goes on waiting.", code: ExitCode.NO_APPROVAL }, json, io);
  const gate = gateOf({ layout: desk.layout, heart: desk.heart, log: desk.log, io });
  let by = "console";
  if (answer === "allowed" && gate.needs(question.pending.tier)) {
    const passed = await gate.pass();
    if (!passed.ok)
      return failWith({ text: `${passed.error} Nothing was decided; it goes on waiting.`, code: ExitCode.NO_APPROVAL }, json, io);
    by = passed.value;
  }
  return tell(takeAnswer(desk.deciding, question.id, { answer, digest: question.digest, by, reason }), question, answer, json, io);
}

export function denyQuestion({ json, heart, id, reason }: Named & { readonly reason: string | undefined }, io: CommandIo): number {
  const made = answeringDesk(heart, io);
  if (!made.ok) return failWith(made.error, json, io);
  using desk = made.value;
  const found = named(desk, id);
  if (!found.ok) return failWith(found.error, json, io);
  const { id: whole, digest } = found.value;
  return tell(
    takeAnswer(desk.deciding, whole, { answer: "denied", digest, by: "console", reason: reason ?? null }),
    found.value,
    "denied",
    json,
    io,
  );
}

function tell(taken: Taken, { id }: Question, answer: "allowed" | "denied", json: boolean | undefined, io: CommandIo): number {
  switch (taken.kind) {
    case "taken":
      io.out(json ? `${JSON.stringify({ id, answer })}\n` : `${id.slice(0, 8)} is ${answer}.\n`);
      return ExitCode.DONE;
    case "settled":
      return failWith(
        { text: `You are too late: ${id.slice(0, 8)} is settled (${stateText(taken.question)}).`, code: ExitCode.DENIED },
        json,
        io,
      );
    case "gone":
      return failWith({ text: `${id.slice(0, 8)} is not there any more.`, code: ExitCode.USAGE }, json, io);
    case "other":
      return failWith({ text: `${id.slice(0, 8)} is not what was shown. Nothing was decided.`, code: ExitCode.DENIED }, json, io);
    case "failed":
      return failWith({ text: taken.detail, code: ExitCode.HEART }, json, io);
  }
}

export function stateText({ state, pending }: Question): string {
  switch (state.kind) {
    case "open": {
      const left = Math.max(0, Math.round((pending.expires - heartDeps().clock.now()) / 1000));
      return `waits, ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left`;
    }
    case "closed":
      return state.because === "expired" ? "ran out: a no" : "cannot be read: a no";
    case "decided":
      return `${state.decision.answer === "unanswered" ? "ran out: a no" : `${state.decision.answer} by ${exact(state.decision.by)} ${localTime(state.at)}`}${state.spent ? ", used" : ""}`;
  }
}

const questionJson = (question: Question): object => {
  const { id, pending, openedAt, digest, state } = question;
  const { skill, tier, rule, object, expires, session } = pending;
  const decision =
    state.kind === "decided"
      ? { answer: state.decision.answer, by: state.decision.by, reason: state.decision.reason, at: state.at, used: state.spent }
      : null;
  return { id, skill, tier, rule, object, session, openedAt, expires, digest, state: state.kind, decision };
};

function named(desk: AnsweringDesk, id: string): Result<Question, Explained> {
  const found = /^[0-9a-f]{1,32}$/.test(id) ? questions(desk.deciding, MOST).filter((question) => question.id.startsWith(id)) : [];
  const [question, ...more] = found;
  if (question === undefined)
    return err({ text: `No question is named ${exact(id.slice(0, 60))}: noctem approvals list shows them.`, code: ExitCode.USAGE });
  return more.length === 0
    ? ok(question)
    : err({ text: `${found.length} questions begin with ${id}; give more of its name.`, code: ExitCode.USAGE });
}

function withDesk<T>(heart: string | undefined, io: CommandIo, work: (desk: AnsweringDesk) => T): Result<T, Explained> {
  const made = answeringDesk(heart, io);
  if (!made.ok) return made;
  using desk = made.value;
  return ok(work(desk));
}
