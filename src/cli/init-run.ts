import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { NoteKey } from "../audit/note.ts";
import { parseVerifierKey, verifierKeyText } from "../audit/verifier-key.ts";
import type { StickLayout } from "../config/layout.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { Explained } from "../headless/result-object.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { auditCrypto, stickKey } from "../platform/audit-crypto.ts";
import { publicLine, readParentPublic } from "../platform/parent-key.ts";
import { readSmallFile, writeNewTextFile } from "../platform/settings-file.ts";
import type { CommandIo } from "./command.ts";
import { heartErrorText, settingsErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { openStickHeart } from "./heart-access.ts";
import { failWith, newParent, noteParent, writeOnce } from "./parent-run.ts";
import { readSettings, stickOf } from "./stick.ts";

interface InitArguments {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
  readonly "passphrase-fd": number | undefined;
  readonly "parent-key": string | undefined;
  readonly "with-parent": boolean | undefined;
}

export async function initStick(args: InitArguments, io: CommandIo): Promise<number> {
  const layout = stickOf(io, args.heart);
  if (args["parent-key"] !== undefined && args["with-parent"] === true)
    return failWith(
      { text: "--parent-key sets a key that is there, --with-parent makes one; use one of them.", code: ExitCode.USAGE },
      args.json,
      io,
    );
  const made = await make(layout, args, io);
  if (!made.ok) return failWith(made.error, args.json, io);
  const { heart, keys, settings, parent } = made.value;
  const line = parent === null ? null : verifierKeyText(parent, auditCrypto.sha256);
  if (args.json) {
    io.out(
      `${JSON.stringify({ heart: layout.heart, keys: layout.keys, settings: layout.settings, parent: line, made: { heart, keys, settings } })}\n`,
    );
    return ExitCode.DONE;
  }
  const said = (isNew: boolean): string => (isNew ? "made" : "there already, left as it is");
  io.out(`Heart     ${forTerminal(layout.heart)} (${said(heart)})\n`);
  io.out(`Keys      ${forTerminal(layout.keys)} (${said(keys)}); they belong to the heart: keep a copy of them elsewhere\n`);
  io.out(`Settings  ${forTerminal(layout.settings)} (${said(settings)})\n`);
  io.out(`Parent    ${line ?? 'none; "noctem parent keygen" makes a key'}\n`);
  return ExitCode.DONE;
}

interface Made {
  readonly heart: boolean;
  readonly keys: boolean;
  readonly settings: boolean;
  readonly parent: NoteKey | null;
}

async function make(layout: StickLayout, args: InitArguments, io: CommandIo): Promise<Result<Made, Explained>> {
  // What could be wrong with what was given comes before anything is made.
  const given = args["parent-key"] === undefined ? ok(null) : givenKey(resolve(io.cwd, args["parent-key"]));
  if (!given.ok) return given;
  const before = readParentPublic(layout.parentKey);
  if (!before.ok) return err({ text: before.error, code: ExitCode.USAGE });
  if (before.value !== null && given.value !== null && publicLine(before.value) !== publicLine(given.value))
    return err({ text: `This stick has another parent already (${layout.parentKey}), and that was left as it is.`, code: ExitCode.DENIED });
  const [heart, keys] = [!existsSync(layout.heart), !existsSync(layout.keys)];
  const opened = openStickHeart(layout);
  if (!opened.ok) return err(heartErrorText(opened.error));
  using open = opened.value;
  const stick = stickKey(layout.keys, open.id);
  if (!stick.ok) return err({ text: stick.error, code: ExitCode.HEART });
  const settings = settingsFile(layout);
  if (!settings.ok) return settings;
  const parent = await parentOf(layout, before.value, given.value, args, io);
  if (parent.ok && parent.value !== null) noteParent(layout, io);
  return parent.ok ? ok({ heart, keys, settings: settings.value, parent: parent.value }) : parent;
}

async function parentOf(
  layout: StickLayout,
  before: NoteKey | null,
  given: NoteKey | null,
  args: InitArguments,
  io: CommandIo,
): Promise<Result<NoteKey | null, Explained>> {
  if (args["with-parent"] === true && before === null) {
    const made = await newParent(layout, { out: undefined, name: undefined, "passphrase-fd": args["passphrase-fd"] }, io);
    return made.ok ? ok(made.value.key) : made;
  }
  if (before !== null || given === null) return ok(before);
  const written = writeOnce(layout.parentKey, publicLine(given));
  return written.ok ? ok(given) : written;
}

function givenKey(path: string): Result<NoteKey, Explained> {
  const read = readSmallFile(path, 16_384);
  if (!read.ok) return err({ text: `${path} cannot be read.`, code: ExitCode.USAGE });
  if (read.value === null) return err({ text: `There is no ${path}.`, code: ExitCode.USAGE });
  const key = parseVerifierKey(read.value, auditCrypto.sha256);
  if (key !== null) return ok(key);
  const secret = read.value.includes("noctem-parent-key");
  const text = secret
    ? `${path} is the secret half of a parent's key. The public half is beside it: ${path}.pub.`
    : `${path} is no public key: one line, NAME+HASH+KEY, as noctem parent keygen prints it.`;
  return err({ text, code: ExitCode.USAGE });
}

/** True when it was made. */
function settingsFile(layout: StickLayout): Result<boolean, Explained> {
  if (existsSync(layout.settings)) {
    const sound = readSettings(layout);
    return sound.ok ? ok(false) : err(settingsErrorText(sound.error));
  }
  const written = writeNewTextFile(layout.settings, "{}\n");
  return written.ok ? ok(true) : err({ text: `${layout.settings} cannot be written.`, code: ExitCode.NO_ROOM });
}
