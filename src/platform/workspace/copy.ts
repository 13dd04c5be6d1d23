/**
 * The bounded copy of a workspace for file systems that overlayfs will not stand on (vfat, exfat, some network mounts). What is copied is noted name by name with
 * its hash: the difference is then found against the note, whatever happened to the workspace meanwhile.
 */
import type { Before } from "../../bark/workspace/types.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { DEEPEST, Folder, type Name } from "./beneath.ts";
import { hash, type Former } from "./view.ts";

export interface CopyBounds {
  readonly names: number;
  readonly bytes: number;
}

/** A folder as it was copied. */
export class CopiedFolder implements Former {
  readonly #names = new Map<string, { readonly before: Before; readonly inner: CopiedFolder | null }>();

  add(name: string, before: Before, inner: CopiedFolder | null): void {
    this.#names.set(name, { before, inner });
  }

  before(name: Name): Before {
    return this.#names.get(name.toString("latin1"))?.before ?? { kind: "nothing" };
  }

  names(): readonly Name[] {
    return [...this.#names.keys()].map((name) => Buffer.from(name, "latin1"));
  }

  enter(name: Name): CopiedFolder {
    return this.#names.get(name.toString("latin1"))?.inner ?? new CopiedFolder();
  }

  [Symbol.dispose](): void {
    // Nothing is open.
  }
}

/** Fills `to`, an empty folder, with what lies in `from`. The error is a sentence. Pipes, sockets and devices stay behind: no program in a cage could use them. */
export function copyFolder(from: string, to: string, bounds: CopyBounds): Result<CopiedFolder, string> {
  const left = { ...bounds };
  const tooMuch = (): string =>
    `This file system gives no copy-on-write view, so ${from} would have to be copied, and it has more than ${bounds.names} files or ${bounds.bytes >> 20} MB. Use a smaller workspace, or move it to another disk.`;
  const walk = (source: Folder, target: Folder, depth: number): CopiedFolder => {
    const copied = new CopiedFolder();
    for (const name of source.names()) {
      const stat = source.stat(name);
      if (stat === null) continue;
      const key = name.toString("latin1");
      if (--left.names < 0 || depth > DEEPEST) throw new TooMuch();
      if (stat.isSymbolicLink()) {
        const link = source.target(name);
        target.link(name, link);
        copied.add(key, { kind: "link", target: link }, null);
      } else if (stat.isDirectory()) {
        target.makeFolder(name);
        using innerSource = source.folder(name);
        using innerTarget = target.folder(name);
        copied.add(key, { kind: "folder" }, walk(innerSource, innerTarget, depth + 1));
        innerTarget.times(innerSource);
      } else if (stat.isFile()) {
        using file = source.read(name);
        if (file === null) continue;
        if (file.stat.size > left.bytes) throw new TooMuch();
        const executable = (file.stat.mode & 0o100) !== 0;
        using made = target.create(name, executable);
        const through = function* (): Generator<Uint8Array> {
          for (const block of file.blocks()) {
            left.bytes -= block.length;
            if (left.bytes < 0) throw new TooMuch();
            made.write(block);
            yield block;
          }
        };
        const { sha256, bytes } = hash(through());
        // Tools such as make compare times.
        made.times(file);
        copied.add(key, { kind: "file", bytes, sha256, executable }, null);
      }
    }
    return copied;
  };
  try {
    using source = Folder.open(from);
    using target = Folder.open(to);
    return ok(walk(source, target, 0));
  } catch (error) {
    if (error instanceof TooMuch) return err(tooMuch());
    return err(`${from} could not be copied for the program: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

class TooMuch extends Error {}
