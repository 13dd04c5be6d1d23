import { openSync, unlinkSync, writeFileSync } from "node:fs";
import type { Word } from "../../bark/cage/argv.ts";

/** Each word with NUL at its end. */
export const packed = (words: readonly Word[]): Buffer => Buffer.concat(words.flatMap((word) => [Buffer.from(word), Buffer.of(0)]));

/** What `--args` reads, packed, as an open descriptor. Read once, and in no folder: nobody can put other arguments there. */
export function argumentsFile(path: string, words: readonly Word[]): number {
  writeFileSync(path, packed(words), { flag: "wx", mode: 0o600 });
  const fd = openSync(path, "r");
  unlinkSync(path);
  return fd;
}
