import type { Explained } from "../headless/result-object.ts";
import type { ModelError } from "../models/port.ts";
import { bytesText } from "./bytes-text.ts";
import { ExitCode } from "./exit-code.ts";

const said = (code: ExitCode, text: string): Explained => ({ text, code });

/** What went wrong with a model, and what to do next. */
export function modelErrorText(error: ModelError): Explained {
  switch (error.kind) {
    case "unknown-model":
      return said(ExitCode.NO_MODEL, `There is no model called "${error.name.slice(0, 80)}". ${nearText(error.near)}`);
    case "not-installed":
      return said(ExitCode.NO_MODEL, `${error.name} is not installed. "noctem models pull ${error.name}" fetches it.`);
    case "missing-file":
      return said(ExitCode.NO_MODEL, `There is no model file at ${error.path}. "noctem models list" shows what there is.`);
    case "broken-file":
      return said(
        ExitCode.BAD_MODEL,
        `${error.path} is not a usable GGUF file: ${error.detail}. "noctem models verify" checks it, and "noctem models verify --repair" or "noctem models pull" fetches it again.`,
      );
    case "download-failed":
      return said(
        ExitCode.NETWORK,
        `${error.name} could not be downloaded. ${attemptsText(error.attempts)} What came so far is kept: the same command goes on from there. A file from elsewhere can be taken in with "noctem models import FILE".`,
      );
    case "checksum":
      return said(
        ExitCode.BAD_MODEL,
        `${error.name} is not the file it should be: its SHA-256 is ${error.found}, expected was ${error.expected}. "noctem models verify --repair ${error.name}" fetches the damaged parts again.`,
      );
    case "no-room":
      return said(
        ExitCode.NO_ROOM,
        `There is no room for ${error.path}: ${bytesText(error.needed)} are needed and ${bytesText(error.free)} are free, so ${bytesText(Math.max(0, error.needed - error.free))} are missing. Free some space, or take a smaller model.`,
      );
    case "file-too-large":
      return said(
        ExitCode.NO_ROOM,
        `${error.path} takes ${bytesText(error.size)}, and on ${error.filesystem} a file ends at ${bytesText(error.limit)}. Format the stick as exFAT, or take a model that is split into parts or smaller.`,
      );
    case "read-only":
      return said(ExitCode.NO_ROOM, `${error.path} is read-only. Remove the write protection, or copy the stick.`);
    case "occupied":
      return said(
        ExitCode.USAGE,
        `Another model is at ${error.path} and was left as it is. Remove it with "noctem models remove", or give the new file another name.`,
      );
    case "foreign":
      return said(ExitCode.USAGE, `${error.path} does not lie on the stick and is left alone. Delete it yourself if you are sure.`);
    case "does-not-fit":
      return said(
        ExitCode.NO_ROOM,
        `${error.name} needs ${bytesText(error.needed)} of memory, and ${bytesText(error.available)} are free. Close other programs, ask for a shorter memory with --context N, or use a smaller model; "noctem models plan" shows what fits.`,
      );
    case "cancelled":
      return said(ExitCode.SIGINT, "Stopped. What came so far is kept: the same command goes on from there.");
    case "io":
      return said(ExitCode.NO_ROOM, `${error.path} cannot be read or written: ${error.detail}.`);
  }
}

function nearText(near: readonly string[]): string {
  if (near.length === 0) return '"noctem models list" shows all of them.';
  const quoted = near.map((name) => `"${name}"`);
  return `Did you mean ${quoted.length === 1 ? quoted[0] : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`}?`;
}

const attemptsText = (attempts: readonly string[]): string =>
  attempts.length === 0 ? "No source is known." : attempts.map((line) => (line.endsWith(".") ? line : `${line}.`)).join(" ");
