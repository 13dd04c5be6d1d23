import { basename, resolve } from "node:path";
import { ATTESTATION_LIMIT, openStatement, PREDICATES, signStatement, type Statement } from "../audit/attestation.ts";
import { parseEntry } from "../audit/entry.ts";
import type { SigningKey } from "../audit/log.ts";
import { makeReport } from "../audit/report.ts";
import type { Explained } from "../headless/result-object.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { AuditFile } from "../heart/audit-file.ts";
import type { Json } from "../lib/canonical-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { auditCrypto, stickKey } from "../platform/audit-crypto.ts";
import { fileDigest } from "../platform/file-digest.ts";
import { readSmallFile } from "../platform/settings-file.ts";
import { auditFailureText, stickLog } from "./audit-desk.ts";
import { anchorsFrom, openLog, parentKeyFrom } from "./audit-file-desk.ts";
import { entryCalled } from "./audit-log-run.ts";
import { judge, judgementLines, VERDICT_CODES, type VerifyArguments } from "./audit-verify-run.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { openStickHeart } from "./heart-access.ts";
import { heartErrorText } from "./error-text.ts";
import { failWith, writeOnce } from "./parent-run.ts";
import { unlockedParent } from "./parent-unlocked.ts";
import { stickOf } from "./stick.ts";

interface AttestArguments extends VerifyArguments {
  readonly entry: string | undefined;
  readonly adapter: string | undefined;
  readonly out: string | undefined;
  readonly parent: boolean | undefined;
  readonly key: string | undefined;
  readonly "passphrase-fd": number | undefined;
  readonly check: string | undefined;
}

export async function attest(args: AttestArguments, io: CommandIo): Promise<number> {
  if (args.check !== undefined) return checkAttestation(args.check, args, io);
  const statement = await statementFor(args, io);
  if (!statement.ok) return failWith(statement.error, args.json, io);
  const layout = stickOf(io, args.heart);
  const opened = openStickHeart(layout);
  if (!opened.ok) return failWith(heartErrorText(opened.error), args.json, io);
  using heart = opened.value;
  const log = stickLog(layout, heart);
  const key: Result<SigningKey, Explained> =
    args.parent === true
      ? await unlockedParent({ layout, log }, { key: args.key, fd: args["passphrase-fd"] }, io)
      : stick(layout.keys, heart.id);
  if (!key.ok) return failWith(key.error, args.json, io);
  const envelope = signStatement(statement.value, key.value, auditCrypto);
  // Before it leaves: what a key has signed stands in the log.
  const digest = auditCrypto.sha256(new TextEncoder().encode(envelope)).toHex();
  const logged = log.write([
    { draft: { kind: "key", key: key.value.publicKey.toHex(), use: statement.value.predicateType, digest } },
    { draft: { kind: "end", reason: "done" } },
  ]);
  if (!logged.ok)
    return failWith(
      { text: `Nothing was signed, because it could not be written to the log: ${auditFailureText(logged.error)}`, code: ExitCode.HEART },
      args.json,
      io,
    );
  if (args.out === undefined) {
    io.out(`${envelope}\n`);
    return ExitCode.DONE;
  }
  const path = resolve(io.cwd, args.out);
  const written = writeOnce(path, `${envelope}\n`);
  if (!written.ok) return failWith(written.error, args.json, io);
  io.out(
    args.json ? `${JSON.stringify({ file: path, predicateType: statement.value.predicateType })}\n` : `${forTerminal(path)} is signed.\n`,
  );
  return ExitCode.DONE;
}

function stick(keys: string, heart: string): Result<SigningKey, Explained> {
  const key = stickKey(keys, heart);
  return key.ok ? key : err({ text: key.error, code: ExitCode.HEART });
}

/** About the adapter or the entry that was named, else about the whole log. Nothing is stated of a log that is not sound. */
async function statementFor(args: AttestArguments, io: CommandIo): Promise<Result<Statement, Explained>> {
  const opened = openLog(args, io);
  if (!opened.ok) return opened;
  using file = opened.value.file;
  const judged = judge(file, args, io);
  if (!judged.ok) return judged;
  const { verdict, checked } = judged.value;
  if (verdict !== "sound" && verdict !== "unwitnessed") {
    for (const line of judgementLines(judged.value)) io.err(`noctem: ${forTerminal(line)}\n`);
    return err({ text: "Nothing is attested of a log that is not sound.", code: VERDICT_CODES[verdict] });
  }
  if (args.adapter !== undefined) return await adapterStatement(file, args.adapter, io);
  if (args.entry !== undefined) return approvalStatement(file, args.entry);
  const subject = checked.heads.map(({ session, root }) => ({ name: `noctem/${file.heart}/${session}`, digest: { sha256: root } }));
  if (subject.length === 0) return err({ text: "The log is empty: there is nothing to attest.", code: ExitCode.USAGE });
  return ok({ subject, predicateType: PREDICATES.report, predicate: makeReport(file, judged.value) as unknown as Json });
}

function approvalStatement(file: AuditFile, typed: string): Result<Statement, Explained> {
  const found = entryCalled(file, typed);
  if (!found.ok) return found;
  const { entry, leaves } = found.value;
  if (entry.kind !== "approval")
    return err({ text: `Entry ${typed} is no approval; "noctem audit log --kind approval" lists them.`, code: ExitCode.USAGE });
  const intent = entry.where === undefined ? parseEntry(leaves[entry.of] ?? "") : null;
  const { session, seq, answer, by, digest } = entry;
  const about =
    intent?.kind === "intent" ? { subject: intent.subject, operation: intent.operation, object: intent.object, policy: intent.policy } : {};
  return ok({
    subject: [{ name: "effect", digest: { sha256: digest } }],
    predicateType: PREDICATES.approval,
    predicate: { heart: file.heart, session, seq, answer, by, hlc: entry.hlc, ...about },
  });
}

/** What the log knows of this very file: when it was loaded, and what trained it. */
async function adapterStatement(file: AuditFile, path: string, io: CommandIo): Promise<Result<Statement, Explained>> {
  const digest = await fileDigest(resolve(io.cwd, path));
  if (!digest.ok) return err({ text: `${path} cannot be read: ${digest.error}.`, code: ExitCode.USAGE });
  const known: Json[] = [];
  file.each(({ leaf }) => {
    if (!leaf.includes(digest.value) || known.length >= 1000) return;
    const entry = parseEntry(leaf);
    if (entry?.kind === "training" || (entry?.kind === "model" && entry.role === "adapter"))
      known.push({ session: entry.session, seq: entry.seq, kind: entry.kind, hlc: entry.hlc });
  });
  if (known.length === 0)
    return err({ text: `The log knows nothing of ${path}: it was neither made nor loaded here.`, code: ExitCode.USAGE });
  return ok({
    subject: [{ name: basename(path), digest: { sha256: digest.value } }],
    predicateType: PREDICATES.adapter,
    predicate: { heart: file.heart, buildType: "noctem-lora", log: known },
  });
}

function checkAttestation(path: string, args: AttestArguments, io: CommandIo): number {
  const text = readSmallFile(resolve(io.cwd, path), ATTESTATION_LIMIT);
  if (!text.ok || text.value === null)
    return failWith({ text: `There is no attestation that can be read at ${path}.`, code: ExitCode.USAGE }, args.json, io);
  const anchors = anchorsFrom(args.anchor, io);
  if (!anchors.ok) return failWith(anchors.error, args.json, io);
  const parent = parentKeyFrom(args["parent-key"], io);
  if (!parent.ok) return failWith(parent.error, args.json, io);
  const keys = [
    ...anchors.value.flatMap(({ sticks }) => sticks.map((key) => Uint8Array.fromHex(key))),
    ...(parent.value === null ? [] : [parent.value.publicKey]),
  ];
  if (keys.length === 0)
    return failWith(
      { text: "Say whose signature it should be: an --anchor with the stick's keys in it, or the --parent-key.", code: ExitCode.USAGE },
      args.json,
      io,
    );
  const opened = openStatement(text.value, keys, auditCrypto);
  if (opened.kind !== "signed") {
    const code = { altered: ExitCode.AUDIT_ALTERED, key: ExitCode.AUDIT_KEY, malformed: ExitCode.AUDIT_CANNOT }[opened.kind];
    return failWith({ text: `${path} attests nothing. ${opened.detail}`, code }, args.json, io);
  }
  const { statement, key } = opened;
  if (args.json) io.out(`${JSON.stringify({ statement, key: key.toHex(), code: ExitCode.DONE })}\n`);
  else {
    io.out(`Signed by ${key.toHex().slice(0, 16)}: ${forTerminal(statement.predicateType)}\n`);
    for (const { name, digest } of statement.subject) io.out(`  ${forTerminal(name)} ${digest.sha256}\n`);
  }
  return ExitCode.DONE;
}
