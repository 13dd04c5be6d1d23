import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { NOTE_NAME, type NoteKey } from "../audit/note.ts";
import { verifierKeyText } from "../audit/verifier-key.ts";
import type { StickLayout } from "../config/layout.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { Explained } from "../headless/result-object.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { heartFiles } from "../platform/key-store.ts";
import { PIN_FILE } from "../platform/parent-door.ts";
import { LEAST_PASSPHRASE, makeParentKey, publicHalf, publicLine, readParentPublic, type UnlockFailure } from "../platform/parent-key.ts";
import { noteInLog } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { openStickHeart } from "./heart-access.ts";
import { rememberParent } from "./parent-gate.ts";
import { readSecret } from "./secret.ts";
import { heartExists, stickOf } from "./stick.ts";

export interface ParentArguments {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
}

interface KeygenArguments extends ParentArguments {
  readonly "passphrase-fd": number | undefined;
  readonly out: string | undefined;
  readonly name: string | undefined;
}

export async function keygen(args: KeygenArguments, io: CommandIo): Promise<number> {
  const layout = stickOf(io, args.heart);
  const made = await newParent(layout, args, io);
  if (!made.ok) return failWith(made.error, args.json, io);
  const { key, secret, publicFile } = made.value;
  if (args.out === undefined) noteParent(layout, io);
  const line = verifierKeyText(key, auditCrypto.sha256);
  if (args.json) io.out(`${JSON.stringify({ key: line, secret, public: publicFile })}\n`);
  else {
    io.out(`${line}\n`);
    const next =
      args.out === undefined ? "This stick has a parent from now on." : `Set it on a stick with: noctem init --parent-key ${publicFile}.`;
    io.err(
      `noctem: The secret half is ${forTerminal(secret)}, under the passphrase. ${forTerminal(next)} Keep a copy of it elsewhere: nobody can make it again.\n`,
    );
  }
  return ExitCode.DONE;
}

/** In the heart, where one is, and in its log. */
export function noteParent(layout: StickLayout, io: CommandIo): void {
  if (!heartExists(layout)) return;
  const opened = openStickHeart(layout);
  if (!opened.ok) return;
  using heart = opened.value;
  const line = rememberParent(layout, heart);
  if (line !== null) noteInLog(layout, [{ kind: "parent", what: "set", detail: line }], io);
}

export interface NewParent {
  readonly key: NoteKey;
  readonly secret: string;
  readonly publicFile: string;
}

/** Asks for a passphrase, makes the key, writes both halves. Never over a file that is there. */
export async function newParent(
  layout: StickLayout,
  { out, name, "passphrase-fd": fd }: Pick<KeygenArguments, "out" | "name" | "passphrase-fd">,
  io: CommandIo,
): Promise<Result<NewParent, Explained>> {
  const secret = out === undefined ? layout.parentSecret : resolve(io.cwd, out);
  const publicFile = out === undefined ? layout.parentKey : `${secret}.pub`;
  const taken = [secret, publicFile].find((path) => existsSync(path));
  if (taken !== undefined) {
    const text =
      taken === layout.parentKey || taken === layout.parentSecret
        ? `This stick has a parent already (${taken}); that is left as it is.`
        : `${taken} is there already and was left as it is. Name another file.`;
    return err({ text, code: ExitCode.USAGE });
  }
  const called = name ?? "noctem-parent";
  if (!NOTE_NAME.test(called)) return err({ text: "--name has no blanks, no plus and at most 200 characters.", code: ExitCode.USAGE });
  const passphrase = await readSecret(io, { fd, what: "passphrase for the parent's key", twice: true });
  if (!passphrase.ok) return passphrase;
  if (passphrase.value.length < LEAST_PASSPHRASE)
    return err({
      text: `A passphrase has at least ${LEAST_PASSPHRASE} characters; some words that only you think of are better. Nothing was made.`,
      code: ExitCode.USAGE,
    });
  const { file, key } = await makeParentKey(called, passphrase.value);
  // The secret half first: a public half whose secret was never written would lock everybody out.
  for (const [path, text] of [
    [secret, file],
    [publicFile, publicLine(key)],
  ] as const) {
    const written = writeOnce(path, text);
    if (!written.ok) return written;
  }
  return ok({ key, secret, publicFile });
}

export function writeOnce(path: string, text: string): Result<void, Explained> {
  const made = heartFiles.create(path, new TextEncoder().encode(text));
  if (!made.ok) return err({ text: `${path} cannot be written: ${made.error.detail}.`, code: ExitCode.NO_ROOM });
  return made.value === "created" ? ok(undefined) : err({ text: `${path} is there already and was left as it is.`, code: ExitCode.USAGE });
}

export function parentStatus({ json, heart }: ParentArguments, io: CommandIo): number {
  const layout = stickOf(io, heart);
  const key = readParentPublic(layout.parentKey);
  if (!key.ok) return failWith({ text: key.error, code: ExitCode.USAGE }, json, io);
  const secret = publicHalf(layout.parentSecret);
  const here = secret.ok && key.value !== null && secret.value.publicKey.toHex() === key.value.publicKey.toHex();
  const line = key.value === null ? null : verifierKeyText(key.value, auditCrypto.sha256);
  const pin = key.value !== null && existsSync(join(layout.keys, PIN_FILE));
  if (json) io.out(`${JSON.stringify({ parent: line, secretHere: here, pin })}\n`);
  else if (line === null)
    io.out("This stick has no parent. noctem parent keygen makes a key, noctem init --parent-key FILE sets one that was made elsewhere.\n");
  else
    io.out(
      `Parent  ${line}\nSecret  ${here ? `on this stick, under its passphrase (${forTerminal(layout.parentSecret)})` : "not on this stick"}\nPIN     ${pin ? "set" : "none; noctem parent pin sets one"}\n`,
    );
  return ExitCode.DONE;
}

/** Of opening a parent's key. */
export function unlockText(failure: UnlockFailure): Explained {
  switch (failure.kind) {
    case "missing":
      return { text: `The parent's key is not at ${failure.path}. Name its file with --key FILE.`, code: ExitCode.USAGE };
    case "broken":
      return { text: `${failure.path} cannot be used: ${failure.detail}.`, code: ExitCode.USAGE };
    case "wrong-passphrase":
      return { text: "That is not the passphrase of the parent's key.", code: ExitCode.DENIED };
  }
}

export function failWith({ text, code }: Explained, json: boolean | undefined, io: CommandIo): number {
  if (json) io.out(`${JSON.stringify({ error: { message: text, code } })}\n`);
  io.err(`noctem: ${forTerminal(text)}\n`);
  return code;
}

/** For a replica of this heart: without the parent's files it would have no parent, and without what they laid over the rules no skill would run. */
export function copyParent(from: StickLayout, keysDir: string): Result<readonly string[], Explained> {
  const copied: string[] = [];
  for (const path of [from.parentKey, from.parentSecret, join(from.keys, PIN_FILE), from.policy]) {
    const target = join(path === from.policy ? dirname(keysDir) : keysDir, basename(path));
    if (!existsSync(path)) continue;
    const done = heartFiles.copy(path, target);
    if (!done.ok) return err({ text: `${target} cannot be written: ${done.error.detail}.`, code: ExitCode.NO_ROOM });
    copied.push(target);
  }
  return ok(copied);
}
