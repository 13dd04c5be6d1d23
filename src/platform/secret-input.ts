/** Secrets from a person or a script: from the terminal without an echo, or from a file descriptor. Never from argv or the environment, which others can read. */
import { read } from "node:fs";
import { err, ok, type Result } from "../lib/result.ts";

/** Bytes. */
const MOST = 1024;
/** Milliseconds that a descriptor may stay silent. */
const PATIENCE = 30_000;

/** The first line that the descriptor gives. The error is a sentence. */
export async function secretFromDescriptor(fd: number): Promise<Result<string, string>> {
  const bytes: number[] = [];
  const until = performance.now() + PATIENCE;
  while (bytes.length <= MOST) {
    const part = await readSome(fd, until - performance.now());
    if (!part.ok) return part;
    if (part.value.length === 0) break;
    bytes.push(...part.value);
    if (part.value.includes(NEWLINE)) break;
  }
  const line = bytes.slice(0, bytes.includes(NEWLINE) ? bytes.indexOf(NEWLINE) : bytes.length);
  if (line.length > MOST) return err(`What descriptor ${fd} gives is longer than ${MOST} bytes.`);
  return text(Uint8Array.from(line), `descriptor ${fd}`);
}

const NEWLINE = 10;

function readSome(fd: number, patience: number): Promise<Result<Uint8Array, string>> {
  return new Promise((resolve) => {
    const buffer = new Uint8Array(MOST);
    const late = setTimeout(() => resolve(err(`Nothing came from descriptor ${fd}.`)), Math.max(0, patience));
    read(fd, buffer, 0, MOST, null, (error, length) => {
      clearTimeout(late);
      if (error === null) resolve(ok(buffer.subarray(0, length)));
      // A closed pseudo-terminal says this at its end.
      else if (error.code === "EOF" || error.code === "EIO") resolve(ok(new Uint8Array(0)));
      else resolve(err(`Descriptor ${fd} cannot be read (${error.code ?? "EIO"}).`));
    });
  });
}

function text(bytes: Uint8Array, where: string): Result<string, string> {
  try {
    return ok(new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r$/u, ""));
  } catch {
    return err(`What ${where} gives is not text.`);
  }
}

/** Asked on the terminal; nothing of it is shown. Null when the person gave up, or there is no terminal. */
export async function secretFromTerminal(prompt: string, out: (text: string) => void, signal: AbortSignal): Promise<string | null> {
  const { stdin } = process;
  if (!stdin.isTTY || signal.aborted) return null;
  stdin.setRawMode(true);
  out(prompt);
  let typed = "";
  const decoder = new TextDecoder();
  try {
    return await new Promise<string | null>((resolve) => {
      const done = (answer: string | null): void => {
        stdin.off("data", onData);
        stdin.off("end", onEnd);
        signal.removeEventListener("abort", onEnd);
        resolve(answer);
      };
      const onEnd = (): void => done(null);
      const onData = (bytes: Uint8Array): void => {
        // A password manager pastes: every character of a read counts, up to the end of its line.
        for (const character of unbracketed(decoder.decode(bytes, { stream: true }))) {
          if (character === "\r" || character === "\n") return done(typed);
          if (character === "\u0003" || character === "\u0004") return done(null);
          if (character === "\u007f" || character === "\b") typed = Array.from(typed).slice(0, -1).join("");
          else if (character === "\u0015") typed = "";
          else if (character >= " " && typed.length < MOST) typed += character;
        }
      };
      stdin.on("data", onData);
      stdin.once("end", onEnd);
      signal.addEventListener("abort", onEnd, { once: true });
      stdin.resume();
    });
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    out("\r\n");
  }
}

const unbracketed = (read: string): string => read.replaceAll("\u001b[200~", "").replaceAll("\u001b[201~", "");
