/** Changes that wait for a person, each set in a folder of its own: bytes first, then the entry that makes them count. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import type { PendingStore, Waiting, WaitingChange } from "../../bark/pending.ts";
import { err, ok } from "../../lib/result.ts";
import { Folder } from "./beneath.ts";
import { BeforeSchema, NEW, Pack } from "./journal.ts";

/** Sets, bytes of all of them, and milliseconds until one is too old. What does not fit any more is not kept: nobody can push out what waits. */
const MOST_SETS = 200;
const MOST_BYTES = 512 * 2 ** 20;
const MOST_CHANGES = 100_000;
const OLDEST = 30 * 24 * 3_600_000;
/** Of a folder that was never finished: another process may be filling it. */
const UNFINISHED = 3_600_000;
const ENTRY = "entry.json";

const common = { path: v.string(), before: BeforeSchema };
const ChangeSchema = v.variant("kind", [
  v.strictObject({
    ...common,
    kind: v.literal("write"),
    content: v.strictObject({ at: v.number(), bytes: v.number(), sha256: v.string() }),
    executable: v.boolean(),
  }),
  v.strictObject({ ...common, kind: v.literal("folder") }),
  v.strictObject({ ...common, kind: v.literal("link"), target: v.string() }),
  v.strictObject({ ...common, kind: v.literal("delete") }),
]);
const EntrySchema = v.strictObject({
  version: v.literal(1),
  workspace: v.string(),
  at: v.number(),
  changes: v.pipe(v.array(v.strictObject({ change: ChangeSchema, rule: v.string(), reason: v.string() })), v.maxLength(MOST_CHANGES)),
});
type Entry = v.InferOutput<typeof EntrySchema>;

/** `name`: a new one for each set, sorting after those before. */
export function pendingStore(state: string, now: () => number, name: () => string): PendingStore {
  const read = (id: string): Waiting | null => {
    // A name from a command line is no path.
    if (!/^[\w-]+$/.test(id)) return null;
    const entry = readEntry(join(state, id, ENTRY));
    if (entry === null) return null;
    const changes = entry.changes.map((one): WaitingChange => {
      const { change } = one;
      return change.kind === "write"
        ? { ...one, change: { ...change, content: { ...change.content, file: join(state, id, NEW) } } }
        : { ...one, change };
    });
    return { id, workspace: entry.workspace, at: entry.at, changes };
  };
  const names = (): readonly string[] => (existsSync(state) ? readdirSync(state).sort() : []);
  const all = (): readonly Waiting[] =>
    names()
      .flatMap((id) => read(id) ?? [])
      .toReversed();
  const tidy = (): void => {
    for (const id of names()) {
      const folder = join(state, id);
      const entry = readEntry(join(folder, ENTRY));
      const age = now() - (entry?.at ?? statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? now());
      if (age > (entry === null ? UNFINISHED : OLDEST)) rmSync(folder, { recursive: true, force: true });
    }
  };
  return {
    keep(workspace, changes) {
      tidy();
      const waiting = all();
      const bytes = [...waiting.flatMap((set) => set.changes), ...changes].reduce((sum, { change }) => sum + bytesOf(change), 0);
      if (waiting.length >= MOST_SETS || bytes > MOST_BYTES || changes.length > MOST_CHANGES)
        return err(`There is no room to keep it until you decide: decide about what waits first (noctem bark pending list).`);
      const id = name();
      const folder = join(state, id);
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        using pack = new Pack(folder, NEW);
        const kept = changes.map((one): Entry["changes"][number] => {
          const { change, rule, reason } = one;
          if (change.kind === "foreign" || change.root !== undefined) throw new Error("Only changes of the workspace are kept");
          if (change.kind !== "write") return { change, rule, reason };
          const { file, at: from = 0, bytes: size, sha256 } = change.content;
          const at = pack.addFrom({ file, at: from }, { kind: "file", bytes: size, sha256, executable: change.executable });
          if (at === null) throw new Error(`${change.path} changed while it was kept`);
          return { change: { ...change, content: { at, bytes: size, sha256 } }, rule, reason };
        });
        pack.sync();
        const part = join(folder, `${ENTRY}.part`);
        const entry: Entry = { version: 1, workspace, at: now(), changes: kept };
        writeFileSync(part, JSON.stringify(entry), { mode: 0o600, flush: true });
        renameSync(part, join(folder, ENTRY));
        using opened = Folder.open(folder);
        opened.sync();
        const set = read(id);
        return set === null ? err("It could not be kept until you decide.") : ok(set);
      } catch (error) {
        rmSync(folder, { recursive: true, force: true });
        return err(`It could not be kept until you decide: ${error instanceof Error ? error.message : String(error)}.`);
      }
    },
    list() {
      tidy();
      return all();
    },
    get: read,
    discard(id) {
      if (read(id) === null) return false;
      rmSync(join(state, id), { recursive: true, force: true });
      return true;
    },
  };
}

const bytesOf = (change: WaitingChange["change"]): number => (change.kind === "write" ? change.content.bytes : 0);

function readEntry(path: string): Entry | null {
  try {
    const parsed = v.safeParse(EntrySchema, JSON.parse(readFileSync(path, "utf8")));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}
