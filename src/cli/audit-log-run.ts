import { describeEntry } from "../audit/describe.ts";
import { type AuditEntry, originOf, parseEntry } from "../audit/entry.ts";
import { versionsIn } from "../audit/forks.ts";
import { Frontier, leafHash, same } from "../audit/merkle.ts";
import { openCheckpoint } from "../audit/note.ts";
import type { Explained } from "../headless/result-object.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { AuditFile } from "../heart/audit-file.ts";
import { type Hlc, millisOf } from "../heart/hlc.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { type AuditArguments, openLog } from "./audit-file-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { failWith } from "./parent-run.ts";
import { heartExists, stickOf } from "./stick.ts";
import { localTime } from "./time-text.ts";

const LIMIT = 30;
/** Entries that are looked through for those that were asked for. */
const LOOKED_AT = 100_000;

interface LogArguments extends AuditArguments {
  readonly limit: number | undefined;
  readonly kind: string | undefined;
  readonly session: string | undefined;
}

export function showLog(args: LogArguments, io: CommandIo): number {
  if (!heartExists(stickOf(io, args.heart))) {
    if (args.json) io.out(`${JSON.stringify({ entries: [] })}\n`);
    else io.err("noctem: Nothing was done here yet.\n");
    return ExitCode.DONE;
  }
  const opened = openLog(args, io);
  if (!opened.ok) return failWith(opened.error, args.json, io);
  using file = opened.value.file;
  const session = args.session === undefined ? ok(null) : sessionCalled(file, args.session);
  if (!session.ok) return failWith(session.error, args.json, io);
  const limit = args.limit ?? LIMIT;
  const filtered = args.kind !== undefined || session.value !== null;
  const found = file
    .recent(filtered ? LOOKED_AT : limit)
    .flatMap(({ leaf }) => parseEntry(leaf) ?? [])
    .filter((entry) => (args.kind === undefined || entry.kind === args.kind) && (session.value === null || entry.session === session.value))
    .slice(0, limit);
  if (args.json) io.out(`${JSON.stringify({ entries: found })}\n`);
  else if (found.length === 0) io.err("noctem: There is no such entry.\n");
  else for (const entry of found) io.out(`${line(entry)}\n`);
  return ExitCode.DONE;
}

const timeOf = ({ hlc }: AuditEntry): string => localTime(millisOf(hlc as Hlc));
const line = (entry: AuditEntry): string =>
  `${timeOf(entry)}  ${`${entry.session.slice(0, 8)}:${entry.seq}`.padEnd(13)} ${forTerminal(describeEntry(entry)).replaceAll("\n", " ")}`;

export function showEntry(args: AuditArguments & { readonly entry: string }, io: CommandIo): number {
  const opened = openLog(args, io);
  if (!opened.ok) return failWith(opened.error, args.json, io);
  using file = opened.value.file;
  const found = entryCalled(file, args.entry);
  if (!found.ok) return failWith(found.error, args.json, io);
  const { entry, leaves } = found.value;
  const { session, seq } = entry;
  const versions = versionsIn(file, session, auditCrypto).flatMap((version) => version[seq] ?? []);
  // One that is shorter, or parts later, has the same entry.
  const forked = [...new Set(versions)].flatMap((leaf) => parseEntry(leaf) ?? []);
  const shown = (forked.length > 1 ? forked : [entry]).map((one) => ({ entry: one, ...apartOf(file, one) }));
  const signed = forked.length > 1 || isSigned(file, session, leaves);
  if (args.json) {
    const [first, ...others] = shown.map(({ entry: one, payload, whole }) => ({
      entry: one,
      payload: whole ? payload : null,
      payloadAltered: !whole,
    }));
    io.out(`${JSON.stringify({ ...first, signed, others })}\n`);
  } else {
    for (const { entry: one, payload, whole } of shown) {
      io.out(`${line(one)}\n\n`);
      for (const [name, value] of Object.entries(one))
        io.out(`${name.padEnd(12)}${forTerminal(typeof value === "object" ? JSON.stringify(value) : String(value))}\n`);
      if ("reference" in one) io.out(`\n${payloadText(payload, whole)}\n`);
    }
    if (!signed)
      io.err("noctem: The session's checkpoint does not cover this entry as it stands here. noctem audit verify says what is wrong.\n");
    if (forked.length > 1)
      io.err(`noctem: The session went on apart in two copies: there are ${forked.length} versions of this entry, all signed.\n`);
  }
  if (!signed || shown.some(({ whole }) => !whole)) return ExitCode.AUDIT_ALTERED;
  return forked.length > 1 ? ExitCode.AUDIT_FORK : ExitCode.DONE;
}

/** Null where it is gone, or nothing ever was. */
function apartOf(file: AuditFile, entry: AuditEntry): { readonly payload: string | null; readonly whole: boolean } {
  if (!("reference" in entry)) return { payload: null, whole: true };
  return { payload: file.payload(entry.reference), whole: file.isPayload(entry.reference, entry.payload) !== false };
}

function payloadText(payload: string | null, whole: boolean): string {
  if (payload === null) return "What lay apart from it is gone.";
  return whole ? `What lies apart from it:\n${forTerminal(payload)}` : "What lies apart from it is not what it was written with.";
}

/** Whether all leaves of the session are those that its own key signed. */
function isSigned(file: AuditFile, session: string, leaves: readonly string[]): boolean {
  const genesis = parseEntry(leaves[0] ?? "");
  const note = file.checkpoints().find(({ key }) => key === session)?.note;
  if (genesis?.kind !== "genesis" || note === undefined) return false;
  const name = originOf(file.heart, session);
  const checkpoint = openCheckpoint(note, { name, publicKey: Uint8Array.fromHex(genesis.key) }, auditCrypto.verify, auditCrypto.sha256);
  const frontier = new Frontier(auditCrypto.sha256);
  for (const leaf of leaves) frontier.push(leafHash(auditCrypto.sha256, new TextEncoder().encode(leaf)));
  return checkpoint !== null && checkpoint.size === leaves.length && same(checkpoint.root, frontier.root());
}

const usage = (text: string): Explained => ({ text, code: ExitCode.USAGE });

function sessionCalled(file: AuditFile, typed: string): Result<string, Explained> {
  const prefix = typed.toLowerCase();
  if (!/^[0-9a-f]{4,32}$/u.test(prefix))
    return err(usage(`"${typed.slice(0, 40)}" is no session: it takes at least the first four digits of its id.`));
  const matches = file.checkpoints().flatMap(({ key }) => (/^[0-9a-f]{32}$/u.test(key) && key.startsWith(prefix) ? [key] : []));
  const [first] = matches;
  if (first === undefined) return err(usage(`There is no session "${prefix}" in the log. "noctem audit log" shows what there is.`));
  return matches.length === 1 ? ok(first) : err(usage(`"${prefix}" fits ${matches.length} sessions. Type more of the id.`));
}

/** `SESSION:NUMBER`, and all leaves of its session. */
export function entryCalled(
  file: AuditFile,
  typed: string,
): Result<{ readonly entry: AuditEntry; readonly leaves: readonly string[] }, Explained> {
  const [, prefix = "", number = ""] = /^([0-9a-fA-F]{4,32}):(\d{1,9})$/u.exec(typed) ?? [];
  if (prefix === "") return err(usage(`"${typed.slice(0, 60)}" is no entry. It is SESSION:NUMBER, as "noctem audit log" prints it.`));
  const session = sessionCalled(file, prefix);
  if (!session.ok) return session;
  const leaves = file.leavesOf(session.value);
  // Of a forked session there are several with one number, and so they stand at other places.
  const entry = leaves.map((leaf) => parseEntry(leaf)).find((one) => one?.seq === Number(number)) ?? null;
  if (entry === null) return err(usage(`Session ${session.value.slice(0, 8)} has no entry ${number}; it has ${leaves.length}.`));
  return ok({ entry, leaves });
}
