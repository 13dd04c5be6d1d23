import { lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isOurName, isStale } from "./owner.ts";

const MOST = 64;

/** Removes folders of ours whose process was killed before it could. Best effort and bounded: what cannot be removed is no reason to fail. */
export function sweepLeftOver(root: string): void {
  try {
    for (const name of readdirSync(root).filter(isOurName).slice(0, MOST)) {
      const path = join(root, name);
      const entry = lstatSync(path);
      if (entry.isDirectory() && entry.uid === process.geteuid?.() && isStale(name, Date.now() - entry.mtimeMs))
        rmSync(path, { recursive: true, force: true });
    }
  } catch {
    // See above.
  }
}
