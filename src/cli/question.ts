import { stdinChunks } from "../platform/stdin.ts";
import type { CommandIo } from "./command.ts";

/** Asks on the terminal. Anything but a clear yes is a no: so are the end of input and a signal. */
export async function askYesNo(question: string, io: CommandIo): Promise<boolean> {
  io.err(`${question} [y/N] `);
  const interrupted = new Promise<null>((resolve) => io.signal.addEventListener("abort", () => resolve(null), { once: true }));
  const line = await Promise.race([firstLine(), interrupted]);
  if (line === null) io.err("\n");
  return line !== null && /^\s*y(es)?\s*$/iu.test(line);
}

async function firstLine(): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stdinChunks()) {
    text += decoder.decode(chunk, { stream: true });
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
    if (text.length > 1000) return text;
  }
  return text === "" ? null : text;
}
