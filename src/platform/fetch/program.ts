/** How this program is started inside a cage as the one that fetches. */
import { realpathSync } from "node:fs";
import { join } from "node:path";
import type { Mount } from "../../bark/cage/types.ts";

const INSIDE = "/run/noctem/noctem";

/** The executable under a name of its own, or bun and the sources while developing. */
export function fetchProgram(): { readonly argv: readonly string[]; readonly mounts: readonly Mount[] } {
  const self: Mount = { kind: "read-only", from: resolved(process.execPath), to: INSIDE };
  if (import.meta.path.startsWith("/$bunfs/")) return { argv: [INSIDE, "__fetch"], mounts: [self] };
  const root = resolved(join(import.meta.dir, "../../.."));
  return { argv: [INSIDE, join(root, "src/fetch/child.ts")], mounts: [self, { kind: "read-only", from: root, to: root }] };
}

/** What is gone is found to be so where it is mounted, and said there. */
function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
