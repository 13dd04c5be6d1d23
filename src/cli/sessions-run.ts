import { resolve } from "node:path";
import { forTerminal } from "../headless/terminal-text.ts";
import type { Heart, HeartError, SessionOverview } from "../heart/port.ts";
import type { SessionId } from "../lib/brand.ts";
import { type Message, visibleText } from "../lib/message.ts";
import { err, type Result } from "../lib/result.ts";
import { heartDeps } from "../platform/heart.ts";
import { writeNewTextFile } from "../platform/settings-file.ts";
import { toMarkdown } from "../session/markdown.ts";
import { shownPath } from "../session/shown.ts";
import { noteInLog } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { heartErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { openStickHeart } from "./heart-access.ts";
import { scrubBeside, scrubText } from "./heart-scrub.ts";
import { askYesNo } from "./question.ts";
import { heartExists, stickOf } from "./stick.ts";
import { localTime } from "./time-text.ts";

interface Common {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
}
interface OfSession extends Common {
  readonly id: string;
}

const DEFAULT_LIMIT = 50;
/** More sessions than anyone has; only a prefix is looked up among them. */
const ALL = 1_000_000;
/** Digits shown of an id: enough to tell a few thousand sessions apart. */
const SHORT_ID = 8;

export function listSessions(args: Common & { readonly limit: number | undefined }, io: CommandIo): number {
  return withHeart(args, io, { ifNone: () => listed([], args, io) }, (heart) =>
    listed(heart.sessions(args.limit ?? DEFAULT_LIMIT), args, io),
  );
}

function listed(sessions: readonly SessionOverview[], { json }: Common, io: CommandIo): number {
  if (json) {
    io.out(`${JSON.stringify({ sessions })}\n`);
    return ExitCode.DONE;
  }
  if (sessions.length === 0) io.err("noctem: No conversations yet.\n");
  for (const session of sessions) {
    const count = `${session.messages} message${session.messages === 1 ? "" : "s"}`;
    const line = `${session.id.slice(0, SHORT_ID)}  ${localTime(session.lastAt)}  ${count.padStart(12)}  ${forTerminal(session.title)}`;
    io.out(`${line.trimEnd()}\n`);
  }
  return ExitCode.DONE;
}

export function showSession(args: OfSession, io: CommandIo): number {
  return withSession(args, io, (heart, id) => {
    const path = shownPath(heart.path(id));
    if (args.json) io.out(`${JSON.stringify({ session: id, messages: path.map((entry) => jsonMessage(entry.message)) })}\n`);
    else {
      const text = toMarkdown(path);
      io.out(io.stdoutIsTerminal ? forTerminal(text) : text);
    }
    return ExitCode.DONE;
  });
}

export function exportSession(args: OfSession & { readonly file: string | undefined }, io: CommandIo): number {
  return withSession(args, io, (heart, id) => {
    const text = args.json
      ? `${JSON.stringify({ session: id, messages: heart.messages(id).map(jsonMessage) }, null, 2)}\n`
      : toMarkdown(shownPath(heart.path(id)));
    if (args.file === undefined || args.file === "-") {
      io.out(text);
      return ExitCode.DONE;
    }
    const written = writeNewTextFile(resolve(io.cwd, args.file), text);
    if (written.ok) {
      io.err(`noctem: Wrote ${args.file}.\n`);
      return ExitCode.DONE;
    }
    return refuseFile(args.file, written.error, io);
  });
}

export async function deleteSession(args: OfSession & { readonly yes: boolean | undefined }, io: CommandIo): Promise<number> {
  if (!args.yes && !(io.stdinIsTerminal && io.stderrIsTerminal)) {
    io.err("noctem: Deleting cannot be undone. Without a terminal to ask on, say --yes.\n");
    return ExitCode.USAGE;
  }
  const opened = openFor(args, io);
  if (!opened.ok) return opened.code;
  using heart = opened.heart;
  const found = findSession(heart, args.id);
  if (!found.ok) return refuse(found.error, io);
  if (!args.yes) {
    const { messages, title } = heart.sessions(ALL).find((session) => session.id === found.value) ?? { messages: 0, title: "" };
    const answer = await askYesNo(`Forget "${forTerminal(title)}" (${messages} messages) for good?`, io);
    if (!answer) {
      io.err("noctem: Nothing was deleted.\n");
      return io.signal.aborted ? ExitCode.SIGINT : ExitCode.DONE;
    }
  }
  const gone = heart.deleteSession(found.value);
  if (!gone.ok) return refuse(gone.error, io);
  const layout = stickOf(io, args.heart);
  noteInLog(layout, [{ kind: "forget", what: "conversation", count: gone.value.forgotten }], io);
  const backups = scrubBeside(heartDeps(), { file: layout.heart, keysDir: layout.keys });
  if (args.json) io.out(`${JSON.stringify({ session: found.value, forgotten: gone.value.forgotten, backups })}\n`);
  else {
    io.err(`noctem: Forgot ${gone.value.forgotten} message${gone.value.forgotten === 1 ? "" : "s"} for good.\n`);
    for (const line of scrubText(backups).split("\n").slice(0, -1)) io.err(`noctem: ${line}\n`);
  }
  return ExitCode.DONE;
}

/** Ids are typed by people: in upper case, or too short. */
export function findSession(heart: Heart, typed: string): Result<SessionId, HeartError> {
  const prefix = typed.toLowerCase();
  return /^[0-9a-f]{4,32}$/u.test(prefix) ? heart.findSession(prefix) : err({ kind: "not-found", what: `session "${typed.slice(0, 40)}"` });
}

/** The heart is not made just to say that nothing is in it. */
function openFor(
  args: Common,
  io: CommandIo,
): { readonly ok: true; readonly heart: Heart & Disposable } | { readonly ok: false; readonly code: number } {
  const layout = stickOf(io, args.heart);
  if (!heartExists(layout)) {
    io.err(`noctem: There are no conversations yet: no heart at ${layout.heart}.
`);
    return { ok: false, code: ExitCode.USAGE };
  }
  const opened = openStickHeart(layout);
  return opened.ok ? { ok: true, heart: opened.value } : { ok: false, code: refuse(opened.error, io) };
}

function withHeart(args: Common, io: CommandIo, absent: { readonly ifNone: () => number }, use: (heart: Heart) => number): number {
  if (!heartExists(stickOf(io, args.heart))) return absent.ifNone();
  const opened = openFor(args, io);
  if (!opened.ok) return opened.code;
  using heart = opened.heart;
  return use(heart);
}

function withSession(args: OfSession, io: CommandIo, use: (heart: Heart, id: SessionId) => number): number {
  const opened = openFor(args, io);
  if (!opened.ok) return opened.code;
  using heart = opened.heart;
  const found = findSession(heart, args.id);
  return found.ok ? use(heart, found.value) : refuse(found.error, io);
}

function refuse(error: HeartError, io: CommandIo): number {
  const { text, code } = heartErrorText(error);
  io.err(`noctem: ${text}\n`);
  return code;
}

function refuseFile(file: string, error: { readonly kind: string; readonly detail?: string }, io: CommandIo): number {
  if (error.kind === "exists") {
    io.err(`noctem: ${file} exists already and was left as it is. Name another file.\n`);
    return ExitCode.USAGE;
  }
  const why =
    error.kind === "read-only" ? "the folder is read-only" : error.kind === "full" ? "there is no room left" : (error.detail ?? error.kind);
  io.err(`noctem: ${file} cannot be written: ${why}.\n`);
  return ExitCode.NO_ROOM;
}

const jsonMessage = (message: Message) => ({
  id: message.id,
  parent: message.parent,
  role: message.role,
  text: visibleText(message.spans),
  spans: message.spans,
  label: message.label,
  origin: message.origin,
  at: new Date(message.at).toISOString(),
  reply: message.reply,
  redacted: message.redacted,
});
