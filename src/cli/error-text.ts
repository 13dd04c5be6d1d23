import type { SettingsError } from "../config/settings.ts";
import type { EngineError } from "../engine/port.ts";
import type { BatchLineError } from "../headless/batch.ts";
import type { PipedError } from "../headless/piped-text.ts";
import type { PromptError } from "../headless/prompt.ts";
import type { Explained } from "../headless/result-object.ts";
import type { Verdict } from "../headless/verdict.ts";
import type { HeartError } from "../heart/port.ts";
import type { TurnFailure } from "../session/event.ts";
import { bytesText } from "./bytes-text.ts";
import { ExitCode } from "./exit-code.ts";
import { modelErrorText } from "./model-error-text.ts";

/**
 * Every failure as one to three sentences, what happened and what to do next, with the exit code it ends in. TUI, text and
 * JSON all say it in these words. Sentences name things the person can type or open.
 */
export { modelErrorText };

const said = (code: ExitCode, text: string): Explained => ({ text, code });

export function engineErrorText(error: EngineError): Explained {
  switch (error.kind) {
    case "model-missing":
      return said(ExitCode.NO_MODEL, `There is no model file at ${error.path}. "noctem models list" shows what there is.`);
    case "model-broken":
      return said(
        ExitCode.BAD_MODEL,
        `${error.path} is not a usable GGUF file: ${error.detail}. "noctem models verify" checks it and "noctem models pull" fetches it again.`,
      );
    case "model-unsupported":
      return said(
        ExitCode.BAD_MODEL,
        `This version of Noctem cannot run ${error.path}: ${error.detail}. "noctem models list" shows models that it can.`,
      );
    case "template-broken":
      return said(
        ExitCode.BAD_MODEL,
        `The chat template of ${error.path} cannot be used: ${error.detail}. Give another with --template FILE, or use another model.`,
      );
    case "out-of-memory":
      return said(
        ExitCode.NO_ROOM,
        `The model with its context needs ${bytesText(error.needed)} of memory, and ${bytesText(error.available)} are free. Ask for less with --context N, or use a smaller model; "noctem models plan" shows what fits.`,
      );
    case "prompt-too-long":
      return said(
        ExitCode.PROMPT_TOO_LONG,
        `The prompt takes ${error.promptTokens} tokens, and the context holds ${error.contextSize}. Shorten the prompt, or ask for more with --context N if the model and the memory allow it.`,
      );
    case "schema-unsupported":
      return said(ExitCode.USAGE, `The engine cannot hold an answer to this JSON schema: ${error.detail}. Simplify the schema.`);
    case "not-loaded":
      return said(ExitCode.ENGINE, "The model was unloaded while it was needed. Ask again.");
    case "cancelled":
      return said(ExitCode.SIGINT, "Stopped before there was an answer.");
    case "crashed":
      return said(
        ExitCode.ENGINE,
        `The engine stopped (${howItDied(error)}). Ask again, and it is started anew; if it happens with every question, the model file may be damaged: "noctem models verify" tells.`,
      );
    case "hung":
      return said(
        ExitCode.ENGINE,
        `The engine gave no sign of life for ${error.seconds} s. Ask again, and it is started anew; --threads 1 helps where other programs use all the cores.`,
      );
    case "unavailable":
      return said(ExitCode.ENGINE, `The engine cannot be started here: ${error.detail}. "noctem doctor" shows what is missing.`);
  }
}

function howItDied({ exitCode, signal, detail }: Extract<EngineError, { kind: "crashed" }>): string {
  const how = signal !== null ? `killed by ${signal}` : `exit code ${exitCode ?? "unknown"}`;
  return detail === "" ? how : `${how}: ${detail}`;
}

export function heartErrorText(error: HeartError): Explained {
  switch (error.kind) {
    case "damaged":
      return said(
        ExitCode.HEART,
        `The heart ${error.path} cannot be read: ${error.detail}. It was left as it is. Put a backup in its place, or name another with --heart FILE.`,
      );
    case "foreign":
      return said(
        ExitCode.HEART,
        `The heart ${error.path} was made under other keys than those in keys/. Put back the keys that belong to it, or name another heart with --heart FILE.`,
      );
    case "newer":
      return said(
        ExitCode.HEART,
        `The heart ${error.path} was written by a newer Noctem (its format is ${error.found}, this program knows ${error.known}). Use that version; nothing was changed.`,
      );
    case "outdated":
      return said(
        ExitCode.HEART,
        `The heart ${error.path} was written by an older Noctem. Start this version with it once (noctem heart status --heart FILE), then merge again.`,
      );
    case "unfinished":
      return said(
        ExitCode.HEART,
        `The heart ${error.path} was left in the middle of a write. Start Noctem there once, which takes the half write back, then merge again.`,
      );
    case "same-file":
      return said(ExitCode.USAGE, `${error.path} is the heart in use. Name another copy to merge with.`);
    case "exists":
      return said(ExitCode.USAGE, `There is a file at ${error.path} already, and nothing is ever overwritten. Name another.`);
    case "keys-missing":
      return said(ExitCode.HEART, `The keys of the heart ${error.path} are missing. Put the folder keys/ back beside it.`);
    case "keys-broken":
      return said(ExitCode.HEART, `The key file ${error.path} cannot be used: ${error.detail}. Put back a copy of the folder keys/.`);
    case "unreadable":
      return said(
        ExitCode.HEART,
        `The heart ${error.path} cannot be opened: ${error.detail}. Check its permissions, or name another with --heart FILE.`,
      );
    case "locked":
      return said(ExitCode.HEART, `Another program held the heart ${error.path} for too long. Close it and try again.`);
    case "full":
      return said(ExitCode.NO_ROOM, `There is no room left for ${error.path}. Free some space on the stick and try again.`);
    case "io":
      return said(
        ExitCode.HEART,
        `Reading or writing ${error.path} failed: ${error.detail}. Is the stick still plugged in? If it is, copy the heart elsewhere soon: it may be wearing out.`,
      );
    case "read-only":
      return said(
        ExitCode.NO_ROOM,
        `${error.path} is read-only, so nothing can be changed in it. Remove the write protection, or copy the stick.`,
      );
    case "not-found":
      return said(ExitCode.USAGE, `There is no ${error.what}. "noctem sessions list" shows what there is.`);
    case "ambiguous":
      return said(ExitCode.USAGE, `"${error.prefix}" fits ${error.matches} sessions. Type more of the id.`);
  }
}

export function turnFailureText(failure: TurnFailure): Explained {
  switch (failure.kind) {
    case "engine":
      return engineErrorText(failure.error);
    case "no-model":
      return said(
        ExitCode.NO_MODEL,
        failure.hint === "" ? 'There is no model here yet. "noctem models list" shows which can be had.' : failure.hint,
      );
    case "model":
      return modelErrorText(failure.error);
    case "store": {
      const explained = heartErrorText(failure.error);
      return { ...explained, text: `The message could not be kept. ${explained.text}` };
    }
  }
}

/** What came of a headless prompt. The code of `interrupted` is the caller's: it knows the signal. */
export function verdictText(verdict: Verdict): Explained {
  switch (verdict.kind) {
    case "done":
      return said(ExitCode.DONE, "");
    case "silent":
      return said(ExitCode.DONE, "The model answered with nothing.");
    case "context-full":
      return said(
        ExitCode.CUT_OFF,
        `The answer is cut off: the context of ${verdict.contextSize} tokens is full. Ask for more with --context N, or for a shorter answer.`,
      );
    case "loop":
      return said(
        ExitCode.CUT_OFF,
        "The answer is cut off: the model began to repeat itself. Another --seed or a higher --temperature helps.",
      );
    case "only-reasoning":
      return said(
        ExitCode.CUT_OFF,
        "The model reasoned and gave no answer. Allow more with --max-tokens or --context; --thinking stderr shows the reasoning.",
      );
    case "schema":
      return said(
        ExitCode.CUT_OFF,
        `The answer does not follow the JSON schema: ${verdict.problem}. Most often it was cut off: allow more with --max-tokens or --context.`,
      );
    case "timeout":
      return said(ExitCode.TIMEOUT, `The time given by --timeout is over.${kept(verdict)}`);
    case "interrupted":
      return said(ExitCode.SIGINT, `Stopped.${kept(verdict)}`);
    case "failed":
      return turnFailureText(verdict.failure);
    case "lost":
      return said(ExitCode.BUG, "The session ended without an answer; that is a bug in Noctem.");
  }
}

const kept = (verdict: { readonly kept: boolean }): string => (verdict.kept ? " The answer so far was kept." : "");

export function settingsErrorText(error: SettingsError): Explained {
  switch (error.kind) {
    case "not-json":
      return said(ExitCode.USAGE, `${error.file} is not JSON: see line ${error.line}, column ${error.column}.`);
    case "not-an-object":
      return said(ExitCode.USAGE, `${error.file} has to be a JSON object, like {"temperature": 0.5}.`);
    case "unknown-setting":
      return said(
        ExitCode.USAGE,
        `${error.where}: there is no setting "${clip(error.name)}". ${error.near === null ? '"noctem config list" shows all of them.' : `Did you mean "${error.near}"?`}`,
      );
    case "bad-setting":
      return said(ExitCode.USAGE, `${error.where}: ${error.name} wants ${error.wants}, not ${error.found}.`);
    case "host-path":
      return said(
        ExitCode.USAGE,
        `${error.where}: ${error.name} is ${error.found}, a path of one computer. Settings travel with the stick: give a path relative to the stick, or use --${error.name} each time.`,
      );
    case "unreadable":
      return said(ExitCode.USAGE, `The settings ${error.file} cannot be read: ${error.detail}.`);
    case "read-only":
      return said(
        ExitCode.NO_ROOM,
        `${error.file} cannot be written: the stick is read-only. Give the setting as a flag or as an environment variable.`,
      );
    case "full":
      return said(ExitCode.NO_ROOM, `There is no room left to write ${error.file}. It was left as it was.`);
    case "io":
      return said(ExitCode.NO_ROOM, `Writing ${error.file} failed: ${error.detail}. It was left as it was.`);
  }
}

export function pipedErrorText(error: PipedError): Explained {
  switch (error.kind) {
    case "too-large":
      return said(
        ExitCode.USAGE,
        `The input is larger than ${bytesText(error.limit)}, far more than any context holds. Cut it down first, for example with head, grep or split.`,
      );
    case "binary":
      return said(ExitCode.USAGE, `The input is not text: there is a NUL byte at offset ${error.offset}. Extract its text first.`);
    case "not-utf8":
      return said(ExitCode.USAGE, "The input is not UTF-8 text. Convert it first, for example with iconv -f ISO-8859-1 -t UTF-8.");
    case "utf16":
      return said(ExitCode.USAGE, "The input is UTF-16 text. Convert it first: iconv -f UTF-16 -t UTF-8.");
    case "silent":
      return said(
        ExitCode.USAGE,
        `Standard input is open, but nothing came for ${error.seconds} s. Use --stdin wait if it takes longer, or --stdin none (or </dev/null) if nothing is to be read.`,
      );
    case "unreadable":
      return said(ExitCode.USAGE, `Standard input cannot be read: ${error.detail}.`);
  }
}

export function promptErrorText(error: PromptError): Explained {
  switch (error.kind) {
    case "empty":
      return said(ExitCode.USAGE, 'There is no prompt. Use noctem -p "…", pipe text into it, or run noctem in a terminal.');
    case "slash-command":
      return said(
        ExitCode.USAGE,
        `${error.name} looks like a command of the chat, and here there are none. To ask it as it stands, put a space before it.`,
      );
  }
}

export function batchLineErrorText(error: BatchLineError): Explained {
  switch (error.kind) {
    case "not-json":
      return said(ExitCode.USAGE, 'It is not JSON. Each line is an object like {"id": 1, "prompt": "…"}.');
    case "bad-line":
      return said(
        ExitCode.USAGE,
        `${error.problem.charAt(0).toUpperCase()}${error.problem.slice(1)}. A line holds "prompt" and, if you like, "id" and "input".`,
      );
    case "empty":
      return said(ExitCode.USAGE, "The prompt is empty.");
    case "slash-command":
      return promptErrorText(error);
    case "too-large":
    case "binary":
    case "not-utf8":
    case "utf16":
    case "silent":
    case "unreadable":
      return pipedErrorText(error);
  }
}

const clip = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);
