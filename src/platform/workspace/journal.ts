/** One step on the disk: its journal, and the bytes before and after, packed into one file each so that a step of any size costs the same few waits for the disk. */
import { closeSync, fsync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import type { Before } from "../../bark/workspace/types.ts";
import { isStale, ownName } from "../native/owner.ts";
import { Folder } from "./beneath.ts";
import { hash } from "./view.ts";

export const BeforeSchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("nothing") }),
  v.strictObject({ kind: v.literal("file"), bytes: v.number(), sha256: v.string(), executable: v.boolean() }),
  v.strictObject({ kind: v.literal("folder") }),
  v.strictObject({ kind: v.literal("link"), target: v.string() }),
  v.strictObject({ kind: v.literal("other") }),
]);
const StepSchema = v.strictObject({
  version: v.literal(2),
  state: v.picklist(["ready", "done"]),
  workspace: v.string(),
  at: v.number(),
  label: v.string(),
  /** In the order in which they are made. `old` and `new` are where the bytes begin in the files of these names. */
  moves: v.array(
    v.strictObject({
      path: v.string(),
      /** Where it is not the workspace that the path is in. */
      root: v.optional(v.string()),
      before: BeforeSchema,
      after: BeforeSchema,
      old: v.nullable(v.number()),
      new: v.nullable(v.number()),
    }),
  ),
});
export type Step = v.InferOutput<typeof StepSchema>;
export type Move = Step["moves"][number];
export type FileState = Extract<Before, { kind: "file" }>;

export const JOURNAL = "journal.json";
export const OLD = "old";
export const NEW = "new";
const OWNER = "owner";

export function readStep(folder: string): Step | null {
  try {
    const parsed = v.safeParse(StepSchema, JSON.parse(readFileSync(join(folder, JOURNAL), "utf8")));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

/** From here on the step will be made, whatever happens. The packs are on the disk before the journal says so. */
export async function begin(folder: string, step: Step, packs: readonly Pack[]): Promise<void> {
  const part = join(folder, `${JOURNAL}.part`);
  writeFileSync(part, JSON.stringify(step), { mode: 0o600 });
  using opened = Folder.open(folder);
  {
    using journal = opened.read(`${JOURNAL}.part`);
    await Promise.all([...packs.map((pack) => pack.synced()), journal?.synced()]);
  }
  renameSync(part, join(folder, JOURNAL));
  opened.sync();
}

/** Not waited for: who reads the older journal makes what is made, and finds nothing to do. */
export function end(folder: string, step: Step): void {
  const part = join(folder, `${JOURNAL}.part`);
  writeFileSync(part, JSON.stringify({ ...step, state: "done" }), { mode: 0o600 });
  renameSync(part, join(folder, JOURNAL));
  rmSync(join(folder, NEW), { force: true });
}

/** Says whose a step is, so that nobody finishes or sweeps it while its process lives. */
export const claim = (folder: string): void => writeFileSync(join(folder, OWNER), `${ownName()}aaaaaa`, { mode: 0o600 });

/** Milliseconds that a folder may be without its owner's name. */
const NAMELESS = 60_000;

/** Whether whoever began the step has left it. `age`: of the folder, in milliseconds. */
export function isLeft(folder: string, age: number): boolean {
  try {
    return isStale(readFileSync(join(folder, OWNER), "utf8"), age);
  } catch {
    return age > NAMELESS;
  }
}

/** Where bytes are: `at` in a file. */
export interface Bytes {
  readonly file: string;
  readonly at: number;
}

/** Bytes of many files, one after the other, in a file that nobody had. Through the hash: what arrives is what was judged, or it does not count. */
export class Pack implements Disposable {
  readonly #path: string;
  #fd: number | null = null;
  #at = 0;

  constructor(folder: string, name: string) {
    this.#path = join(folder, name);
  }

  /** Where they begin; null when they are not what they should be. */
  add(blocks: Iterable<Uint8Array>, is: FileState): number | null {
    this.#fd ??= openSync(this.#path, "wx", 0o600);
    const at = this.#at;
    const fd = this.#fd;
    const through = function* (): Generator<Uint8Array> {
      for (const block of blocks) {
        for (let put = 0; put < block.length;) put += writeSync(fd, block, put);
        yield block;
      }
    };
    const { sha256, bytes } = hash(through());
    this.#at += bytes;
    return sha256 === is.sha256 && bytes === is.bytes ? at : null;
  }

  addFrom({ file, at }: Bytes, is: FileState): number | null {
    using folder = Folder.open(dirname(file));
    using opened = folder.read(basename(file));
    return opened === null ? null : this.add(opened.blocks(at, is.bytes), is);
  }

  sync(): void {
    if (this.#fd !== null) fsyncSync(this.#fd);
  }

  synced(): Promise<void> {
    const fd = this.#fd;
    return fd === null ? Promise.resolve() : new Promise((done, failed) => fsync(fd, (error) => (error === null ? done() : failed(error))));
  }

  [Symbol.dispose](): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}
