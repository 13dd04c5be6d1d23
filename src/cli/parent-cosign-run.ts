import { resolve } from "node:path";
import { writeAnchor } from "../audit/anchor.ts";
import { cosign } from "../audit/cosign.ts";
import type { Judgement } from "../audit/verdict.ts";
import type { Explained } from "../headless/result-object.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { Result } from "../lib/result.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { heartDeps } from "../platform/heart.ts";
import { auditFailureText, stickLog } from "./audit-desk.ts";
import { openLog } from "./audit-file-desk.ts";
import { judge, judgementLines, VERDICT_CODES } from "./audit-verify-run.ts";
import type { CommandIo } from "./command.ts";
import { heartErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { openStickHeart } from "./heart-access.ts";
import { failWith, type ParentArguments, writeOnce } from "./parent-run.ts";
import { unlockedParent } from "./parent-unlocked.ts";
import { stickOf } from "./stick.ts";
import { count, localTime } from "./time-text.ts";

interface CosignArguments extends ParentArguments {
  readonly file: string | undefined;
  readonly key: string | undefined;
  readonly "passphrase-fd": number | undefined;
}

/**
 * The parent says: at this time the log had these heads, and it held what I had countersigned before. Kept in the heart, so that a copy of it can be checked
 * with nothing but the parent's public key; and in a file, which nobody can take back.
 */
export async function cosignLog(args: CosignArguments, io: CommandIo): Promise<number> {
  const layout = stickOf(io, args.heart);
  const opened = openStickHeart(layout);
  if (!opened.ok) return failWith(heartErrorText(opened.error), args.json, io);
  using heart = opened.value;
  const log = stickLog(layout, heart);
  const parent = await unlockedParent({ layout, log }, { key: args.key, fd: args["passphrase-fd"] }, io);
  if (!parent.ok) return failWith(parent.error, args.json, io);
  // After that use of the key was written down, so that it is among what is signed.
  const judged = judgeNow(args, layout.parentKey, io);
  if (!judged.ok) return failWith(judged.error, args.json, io);
  const { verdict, checked } = judged.value;
  if (verdict !== "sound" && verdict !== "unwitnessed") {
    for (const line of judgementLines(judged.value)) io.err(`noctem: ${forTerminal(line)}\n`);
    return failWith({ text: "A log that is not sound is not countersigned.", code: VERDICT_CODES[verdict] }, args.json, io);
  }
  const time = Math.floor(heartDeps().clock.now() / 1000);
  const note = cosign(
    writeAnchor({ heart: checked.heart, time, heads: checked.heads, sticks: checked.sticks }, null, auditCrypto.sha256),
    parent.value,
    time,
    auditCrypto.sha256,
  );
  const kept = heart.audit.keepCosigned(note);
  if (!kept.ok) return failWith(heartErrorText(kept.error), args.json, io);
  const digest = auditCrypto.sha256(new TextEncoder().encode(note)).toHex();
  const logged = log.write([
    { draft: { kind: "key", key: parent.value.publicKey.toHex(), use: "countersignature", digest } },
    { draft: { kind: "end", reason: "done" } },
  ]);
  if (!logged.ok)
    io.err(`noctem: That it was countersigned could not be written to the log. ${forTerminal(auditFailureText(logged.error))}\n`);
  if (args.file !== undefined) {
    const written = writeOnce(resolve(io.cwd, args.file), note);
    if (!written.ok) return failWith(written.error, args.json, io);
  }
  if (args.json) io.out(`${JSON.stringify({ time, entries: checked.entries, heads: checked.heads, anchor: note })}\n`);
  else
    io.out(
      `Countersigned ${count(checked.entries, "entry", "entries")} on ${localTime(time * 1000)}.${args.file === undefined ? " Keep a copy outside with --file, because whoever has the stick can put back an older one." : ""}\n`,
    );
  return ExitCode.DONE;
}

/** With the file closed again: nothing can be written to a heart that this process is reading. */
function judgeNow(args: CosignArguments, parentKey: string, io: CommandIo): Result<Judgement, Explained> {
  const opened = openLog(args, io);
  if (!opened.ok) return opened;
  using file = opened.value.file;
  return judge(file, { "parent-key": parentKey }, io);
}
