import { resolve } from "node:path";
import { describeEntry } from "../audit/describe.ts";
import { checkProof, PROOF_LIMIT, proveConsistency, proveInclusion } from "../audit/proof.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { readSmallFile } from "../platform/settings-file.ts";
import { type AuditArguments, anchorsFrom, openLog } from "./audit-file-desk.ts";
import { entryCalled } from "./audit-log-run.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { failWith } from "./parent-run.ts";

interface ProveArguments extends AuditArguments {
  readonly entry: string | undefined;
  readonly anchor: string | undefined;
  readonly check: string | undefined;
}

export function prove(args: ProveArguments, io: CommandIo): number {
  return args.check === undefined ? makeProof(args, io) : checkFile(args.check, args, io);
}

function makeProof(args: ProveArguments, io: CommandIo): number {
  const fail = (text: string, code: ExitCode): number => failWith({ text, code }, args.json, io);
  if (args.entry === undefined && args.anchor === undefined)
    return fail("Say what is to be proved: an entry as SESSION:NUMBER, or an --anchor that the log goes on from.", ExitCode.USAGE);
  const anchors = anchorsFrom(args.anchor, io);
  if (!anchors.ok) return failWith(anchors.error, args.json, io);
  const opened = openLog(args, io);
  if (!opened.ok) return failWith(opened.error, args.json, io);
  using file = opened.value.file;
  const notes = new Map(file.checkpoints().map(({ key, note }) => [key, note]));
  const heads = anchors.value.flatMap((anchor) => anchor.heads);
  if (args.entry !== undefined) {
    const found = entryCalled(file, args.entry);
    if (!found.ok) return failWith(found.error, args.json, io);
    const { entry, leaves } = found.value;
    const anchored = heads.find(({ session }) => session === entry.session)?.size ?? 0;
    const checkpoint = notes.get(entry.session) ?? "";
    return give(
      JSON.stringify(proveInclusion({ heart: file.heart, leaves, checkpoint, index: entry.seq, anchored }, auditCrypto)),
      args,
      io,
    );
  }
  const sessions = heads.map(({ session, size }) => ({
    session,
    from: size,
    leaves: file.leavesOf(session),
    checkpoint: notes.get(session) ?? "",
  }));
  const short = sessions.find(({ leaves, from }) => leaves.length < from);
  if (short !== undefined)
    return fail(
      `The anchor names ${short.from} entries of session ${short.session.slice(0, 8)}, and here are ${short.leaves.length}.`,
      ExitCode.AUDIT_TRUNCATED,
    );
  return give(JSON.stringify(proveConsistency(file.heart, sessions, auditCrypto)), args, io);
}

/** What would not be believed is not handed out. */
function give(proof: string, args: ProveArguments, io: CommandIo): number {
  const anchors = anchorsFrom(args.anchor, io);
  const checked = checkProof(proof, anchors.ok ? anchors.value : [], auditCrypto);
  if (checked.kind !== "proved")
    return failWith(
      { text: `It cannot be proved, because the log is not sound there. ${checked.detail}`, code: CODES[checked.kind] },
      args.json,
      io,
    );
  io.out(`${proof}\n`);
  return ExitCode.DONE;
}

const CODES = { altered: ExitCode.AUDIT_ALTERED, key: ExitCode.AUDIT_KEY, malformed: ExitCode.AUDIT_CANNOT } as const;

function checkFile(path: string, args: ProveArguments, io: CommandIo): number {
  const anchors = anchorsFrom(args.anchor, io);
  if (!anchors.ok) return failWith(anchors.error, args.json, io);
  const text = readSmallFile(resolve(io.cwd, path), PROOF_LIMIT);
  if (!text.ok || text.value === null)
    return failWith({ text: `There is no proof that can be read at ${path}.`, code: ExitCode.USAGE }, args.json, io);
  const checked = checkProof(text.value, anchors.value, auditCrypto);
  if (checked.kind !== "proved")
    return failWith({ text: `${path} proves nothing. ${checked.detail}`, code: CODES[checked.kind] }, args.json, io);
  const code = checked.vouched ? ExitCode.DONE : ExitCode.AUDIT_UNWITNESSED;
  if (args.json) io.out(`${JSON.stringify({ ...checked, code })}\n`);
  else {
    const what = checked.entry === null ? "The log goes on from what the anchor names." : `In the log: ${describeEntry(checked.entry)}`;
    io.out(`${forTerminal(what)}\n`);
    io.out(
      checked.vouched
        ? "The anchor vouches for it.\n"
        : `Signed under the stick's key ${checked.stick.slice(0, 16)}. Whose key that is, only an anchor or its owner can say.\n`,
    );
  }
  return code;
}
