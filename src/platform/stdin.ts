import { fstatSync } from "node:fs";
import { isatty } from "node:tty";

export interface StdinFacts {
  /** `file` has an end that is known; `stream` is a pipe, a socket or a device; `folder` cannot be read. */
  readonly kind: "terminal" | "file" | "folder" | "stream" | "none";
  /** Bytes of a file, else null. */
  readonly size: number | null;
}

/** What standard input is, without reading from it. */
export function stdinFacts(): StdinFacts {
  if (isatty(0)) return { kind: "terminal", size: null };
  try {
    const facts = fstatSync(0);
    if (facts.isFile()) return { kind: "file", size: facts.size };
    return { kind: facts.isDirectory() ? "folder" : "stream", size: null };
  } catch {
    // Closed by whoever started us (`<&-`).
    return { kind: "none", size: null };
  }
}

/** The bytes of standard input as they come. Ending the iteration early leaves the rest unread. */
export async function* stdinChunks(): AsyncGenerator<Uint8Array> {
  const reader = Bun.stdin.stream().getReader();
  try {
    for (let step = await reader.read(); !step.done; step = await reader.read()) yield step.value;
  } finally {
    reader.releaseLock();
  }
}
