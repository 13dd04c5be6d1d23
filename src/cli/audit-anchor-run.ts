import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { writeAnchor } from "../audit/anchor.ts";
import type { SigningKey } from "../audit/log.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { auditCrypto, STICK_KEY_FILE, stickKey } from "../platform/audit-crypto.ts";
import { heartDeps } from "../platform/heart.ts";
import { QR_COLOURS, qrLines } from "../platform/qr.ts";
import { type AuditArguments, openLog } from "./audit-file-desk.ts";
import { judge, judgementLines, VERDICT_CODES } from "./audit-verify-run.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { failWith, writeOnce } from "./parent-run.ts";
import type { StickLayout } from "../config/layout.ts";
import { count } from "./time-text.ts";

interface AnchorArguments extends AuditArguments {
  readonly file: string | undefined;
  readonly text: boolean | undefined;
  readonly qr: boolean | undefined;
}

export function anchorLog(args: AnchorArguments, io: CommandIo): number {
  const opened = openLog(args, io);
  if (!opened.ok) return failWith(opened.error, args.json, io);
  using file = opened.value.file;
  const judged = judge(file, {}, io);
  if (!judged.ok) return failWith(judged.error, args.json, io);
  const { verdict, checked } = judged.value;
  if (verdict !== "unwitnessed" && verdict !== "sound") {
    for (const line of judgementLines(judged.value)) io.err(`noctem: ${forTerminal(line)}\n`);
    return failWith({ text: "What is not sound is not anchored.", code: VERDICT_CODES[verdict] }, args.json, io);
  }
  if (checked.heads.length === 0)
    return failWith({ text: "The log is empty: there is nothing to anchor yet.", code: ExitCode.USAGE }, args.json, io);
  const time = Math.floor(heartDeps().clock.now() / 1000);
  const { heart, heads, sticks } = checked;
  const note = writeAnchor({ heart, time, heads, sticks }, knownKey(opened.value.layout, heart, sticks), auditCrypto.sha256);
  if (args.file !== undefined) {
    const path = resolve(io.cwd, args.file);
    const written = writeOnce(path, note);
    if (!written.ok) return failWith(written.error, args.json, io);
    if (args.json) io.out(`${JSON.stringify({ file: path, heart, time, heads, entries: checked.entries })}\n`);
    else
      io.out(
        `${forTerminal(path)} vouches for ${count(checked.entries, "entry", "entries")}. Keep it where nobody with the stick can reach it; then: noctem audit verify --anchor ${forTerminal(args.file)}\n`,
      );
    return ExitCode.DONE;
  }
  if (args.qr === true) {
    const lines = qrLines(note);
    if (lines === null)
      return failWith(
        { text: `The anchor names ${heads.length} heads, which is too much for a QR code. Use --file.`, code: ExitCode.USAGE },
        args.json,
        io,
      );
    const [on, off] = io.stdoutIsTerminal && io.env["NO_COLOR"] === undefined ? [QR_COLOURS.on, QR_COLOURS.off] : ["", ""];
    for (const line of lines) io.out(`${on}${line}${off}\n`);
    return ExitCode.DONE;
  }
  io.out(args.json ? `${JSON.stringify({ heart, time, heads, anchor: note })}\n` : note);
  return ExitCode.DONE;
}

/** Where this stick's key is here and has signed before. None is made for this. */
function knownKey(layout: StickLayout, heart: string, sticks: readonly string[]): SigningKey | null {
  if (!existsSync(join(layout.keys, STICK_KEY_FILE))) return null;
  const key = stickKey(layout.keys, heart);
  return key.ok && sticks.includes(key.value.publicKey.toHex()) ? key.value : null;
}
