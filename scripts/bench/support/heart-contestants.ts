import { closeSync, fsyncSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { copyHeart, elementAt, heartFile, HeartLoader, makeHeart } from "./heart-load.ts";
import { mergeInto } from "./heart-merge.ts";
import { type Edit, type Replica, startOf } from "./heart-ops.ts";
import { contentsOf, rawMerge } from "./heart-raw.ts";

/** Two replicas in one of the programs that are compared. */
export interface Contestant extends Disposable {
  /** One transaction. */
  edit(replica: Replica, group: readonly Edit[]): void;
  /** Between the edits and the first merge: what was prepared for editing is let go. */
  settle(): void;
  /** `into` takes what it lacks from the other replica. */
  merge(into: Replica): void;
  contents(replica: Replica): Contents;
}

/** What a user would see. */
export interface Contents {
  /** Equal exactly when registers, their values and elements are. */
  readonly digest: string;
  readonly elements: ReadonlySet<number>;
}

/** `folder` is empty and goes away with the process. Both replicas hold the start. */
export type Enter = (folder: string, edits: number) => Promise<Contestant>;

/** Loaded one at a time: a library that is not measured has no place in the memory of one that is. */
export const CONTESTANTS = {
  heart: async (folder, edits) => filesOf(folder, edits, "sealed"),
  raw: async (folder, edits) => filesOf(folder, edits, "bare"),
  yjs: async (_, edits) => await (await import("./heart-peers/yjs.ts")).enter(edits),
  loro: async (_, edits) => await (await import("./heart-peers/loro.ts")).enter(edits),
  tinybase: async (_, edits) => await (await import("./heart-peers/tinybase.ts")).enter(edits),
  automerge: async (_, edits) => await (await import("./heart-peers/automerge.ts")).enter(edits),
} as const satisfies Record<string, Enter>;

export type Name = keyof typeof CONTESTANTS;

/** Two files, every edit and merge durable: as the heart writes and merges them, or as bare SQL does (heart-raw.ts). */
function filesOf(folder: string, edits: number, loading: "sealed" | "bare"): Contestant {
  const folders = [join(folder, "a"), join(folder, "b")] as const;
  makeHeart(folders[0]);
  {
    using start = new HeartLoader(folders[0], { loading, durable: false });
    start.write(startOf(edits));
  }
  copyHeart(...folders);
  // Only the first one's edits are timed.
  const loaders = folders.map((path, replica) => new HeartLoader(path, { loading, durable: replica === 0 }));
  const merge: (folder: string, sourceFile: string) => unknown = loading === "sealed" ? mergeInto : rawMerge;
  return {
    edit: (replica, group) => loaders[replica]?.write(group),
    settle() {
      for (const loader of loaders.splice(0)) loader[Symbol.dispose]();
      for (const path of folders) toMedium(heartFile(path));
    },
    merge: (into) => merge(folders[into], heartFile(folders[into === 0 ? 1 : 0])),
    contents(replica) {
      const { digest, elements } = contentsOf(folders[replica]);
      return { digest, elements: new Set(elements.map(elementAt)) };
    },
    [Symbol.dispose]() {
      for (const open of loaders) open[Symbol.dispose]();
      for (const path of folders) rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Or the first durable merge would wait for what was written before it. */
function toMedium(path: string): void {
  const file = openSync(path, "r+");
  fsyncSync(file);
  closeSync(file);
}
