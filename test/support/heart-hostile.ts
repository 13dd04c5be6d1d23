import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import type { MergeReport } from "../../src/heart/merge/merge.ts";
import type { HeartError } from "../../src/heart/port.ts";
import { MERGED } from "../../src/heart/tables.ts";
import type { Label } from "../../src/lib/label.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import type { Result } from "../../src/lib/result.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { BUILD, keepLog, must, openIn, placeIn, say, talk } from "./heart.ts";
import { replayed, unsynced } from "./unsynced.ts";

/** Of a process that writes to it while a copy is taken. */
const OPEN_LOG = "cd".repeat(16);
const label: Label = { c: 2, k: ["heart"], i: 2, p: ["console"] };

/** A target, and a genuine copy that went on: what an attacker or a broken stick starts from. */
export interface Scene {
  readonly target: string;
  readonly source: string;
  /** The source as it was at an earlier time, genuine too. */
  readonly earlier: string;
  /** What the target holds before, and after merging the genuine source. */
  readonly before: string;
  readonly after: string;
  /** A message that the target knows, and that the source forgot. */
  readonly forgotten: MessageId;
}

/** `pruned`: the source has compacted away removes that the target never saw, so that it is merged in full. */
export function stage(folder: string, pruned: boolean): Scene {
  const deps = replayed(1);
  const [target, source, earlier] = [join(folder, "target"), join(folder, "source"), join(folder, "earlier")];
  mkdirSync(source, { recursive: true });
  const doomed: string[] = [];
  let forgotten: MessageId | null = null;
  {
    using heart = openIn(source, deps);
    const { messages } = talk(heart, "shared from the start", "to be forgotten");
    forgotten = messages[1]?.id ?? null;
    for (let i = 0; i < 4; i++) doomed.push(must(heart.tasks.add({ title: `shared ${i}` })).id);
    must(heart.memory.remember("shared", "value", label));
  }
  // A copy taken while the source's process is still at it: the target has a part of that stream.
  const sitting = openIn(source, deps);
  const { session, messages } = talk(sitting, "begun before the copy");
  keepLog(sitting, OPEN_LOG, ["begun", "before the copy"]);
  cpSync(source, target, { recursive: true });
  talk(sitting, "and gone on after it");
  keepLog(sitting, OPEN_LOG, ["gone on"], { from: 2 });
  say(sitting, session, messages[0]?.id ?? null, "in the same conversation");
  cpSync(source, earlier, { recursive: true });
  must(sitting.memory.remember("shared", "changed by the source", label));
  sitting[Symbol.dispose]();
  for (let round = 0; round < 5; round++) {
    using heart = openIn(source, deps);
    talk(heart, `round ${round}`, "words ".repeat(200 * round), `end of ${round}`);
    must(heart.memory.remember(`key ${round % 3}`, `value ${round}`, label));
    must(heart.state.set("state", String(round)));
    must(heart.tasks.add({ title: `task ${round}` }));
    if (round < 3) must(heart.tasks.remove(doomed[round] ?? ""));
    if (round === 2 && forgotten !== null) must(heart.redact(forgotten));
    must(heart.incidents.count("something", 2, "detail"));
    must(heart.entries.append({ kind: "skill", body: `ran ${round}`, label }));
    keepLog(heart, (round + 1).toString(16).padStart(32, "0"), ["begun", `done ${round}`], { ends: round % 2 === 0 });
  }
  {
    using heart = openIn(target, deps);
    talk(heart, "said at the target");
    keepLog(heart, "ab".repeat(16), ["at the target"]);
    must(heart.memory.remember("shared", "changed by the target", label));
    must(heart.tasks.add({ title: "of the target" }));
  }
  if (pruned) must(heartCopies(heartDeps(deps), placeIn(source), BUILD).compact());
  const before = contentsOf(target);
  const genuine = join(folder, "genuine");
  cpSync(target, genuine, { recursive: true });
  must(mergeInto(genuine, placeIn(source).file));
  return { target, source, earlier, before, after: contentsOf(genuine), forgotten: forgotten as MessageId };
}

export const mergeInto = (folder: string, file: string): Result<MergeReport, HeartError> =>
  heartCopies(heartDeps({ sql: unsynced }), placeIn(folder), BUILD).merge(file, { dryRun: false });

/** Every merged row and every text, but for what noting a refused merge adds. */
export function contentsOf(folder: string): string {
  using db = sqliteDriver.open(placeIn(folder).file, { create: false, readOnly: true });
  const lines: string[] = [];
  for (const { name, columns } of MERGED) {
    if (name === "actor") continue;
    const own = name === "incident" ? "where kind <> 'merge.refused'" : name === "cell" ? "where k not like 'merge.refused%'" : "";
    // What is pruned differs from copy to copy.
    if (name === "task_remove") continue;
    for (const row of db.all(`select ${columns.join(", ")} from ${name} ${own} order by actor, seq`)) lines.push(name + textOf(row));
  }
  for (const row of db.all("select k, v from meta where k >= 'head:' and k < 'head;' order by k")) lines.push(textOf(row));
  for (const name of ["message", "entry"]) {
    for (const row of db.all(`select m.id, b.salt, b.body from ${name} m join ${name}_body b on b.n = m.n order by m.id`))
      lines.push(textOf(row));
  }
  return lines.join("\n");
}

const textOf = (row: object): string =>
  JSON.stringify(Object.values(row).map((value: unknown) => (value instanceof Uint8Array ? value.toHex() : value)));

export interface Verdict {
  readonly outcome: "refused" | "merged";
  /** The kind and detail of the refusal. */
  readonly why: string;
  /** What is wrong; null when nothing is. */
  readonly fault: string | null;
}

/**
 * Merges `hostile` into a fresh target, and then the genuine source. Nothing may be altered, nothing may be missing, neither now nor after
 * the genuine merge, and a refusal leaves everything as it was.
 */
export function judge(folder: string, scene: Scene, hostile: string): Verdict {
  const work = join(folder, "work");
  mkdirSync(work, { recursive: true });
  cpSync(placeIn(scene.target).keysDir, placeIn(work).keysDir, { recursive: true });
  copyFileSync(placeIn(scene.target).file, placeIn(work).file);
  const result = mergeInto(work, hostile);
  const now = contentsOf(work);
  const why = result.ok ? "" : `${result.error.kind}: ${"detail" in result.error ? result.error.detail : ""}`;
  const outcome = result.ok ? "merged" : "refused";
  if (!result.ok && now !== scene.before) return { outcome, why, fault: "refused, and the target changed" };
  if (result.ok && now !== scene.after) return { outcome, why, fault: `merged, and ${difference(now, scene.after)}` };
  const genuine = mergeInto(work, placeIn(scene.source).file);
  if (!genuine.ok) return { outcome, why, fault: `the genuine source is refused afterwards: ${genuine.error.kind}` };
  const then = contentsOf(work);
  if (then !== scene.after) return { outcome, why, fault: `after the genuine merge ${difference(then, scene.after)}` };
  // Counts that are wrong would keep this copy out everywhere, later.
  const [broken] = must(verifyHeart(heartDeps({ sql: unsynced }), placeIn(work))).faults;
  return { outcome, why, fault: broken === undefined ? null : `the target is not sound: ${broken.detail}` };
}

function difference(found: string, wanted: string): string {
  const [a, b] = [new Set(found.split("\n")), new Set(wanted.split("\n"))];
  const missing = [...b].filter((line) => !a.has(line));
  const more = [...a].filter((line) => !b.has(line));
  return `${missing.length} rows are missing (${missing[0]?.slice(0, 120) ?? ""}), ${more.length} are too many (${more[0]?.slice(0, 120) ?? ""})`;
}

const PAGE = 4096;

/** Damage of the kinds that cheap flash, broken transfers and careless tools do. */
export function corrupt(bytes: Uint8Array, random: () => number): Uint8Array {
  const below = (n: number): number => Math.floor(random() * n);
  const pages = Math.floor(bytes.length / PAGE);
  const page = (): number => below(pages) * PAGE;
  const out = bytes.slice();
  const kind = below(9);
  if (kind === 0) for (let i = 0; i <= below(8); i++) out[below(out.length)] = below(256);
  else if (kind === 1) for (let i = 0; i <= below(40); i++) flip(out, below(out.length), below(8));
  else if (kind === 2) {
    const at = page();
    out.fill(random() < 0.5 ? 0 : 0xff, at, at + PAGE);
  } else if (kind === 3) out.copyWithin(page(), page(), page() + PAGE);
  else if (kind === 4) {
    const [a, b] = [page(), page()];
    const kept = out.slice(a, a + PAGE);
    out.copyWithin(a, b, b + PAGE);
    out.set(kept, b);
  } else if (kind === 5) return out.slice(0, below(out.length));
  else if (kind === 6) flip(out, below(100), below(8));
  else if (kind === 7) {
    const at = page() + below(PAGE - 512);
    out.fill(below(256), at, at + 512);
  } else {
    // In the cell pointers and headers of a page, where a byte moves whole rows.
    const at = page();
    for (let i = 0; i <= below(4); i++) out[at + below(40)] = below(256);
  }
  return out;
}

function flip(bytes: Uint8Array, at: number, bit: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
}

/** Puts damaged bytes where a source is to be found. */
export function corruptedSource(folder: string, scene: Scene, random: () => number): string {
  const file = join(folder, "hostile.sqlite");
  writeFileSync(file, corrupt(readFileSync(placeIn(scene.source).file), random));
  return file;
}

/** A copy of the source for somebody with an SQL shell, and older genuine copies, but without the key. */
export function attackedSource(folder: string, scene: Scene, attack: (file: string, scene: Scene) => void): string {
  const file = join(folder, "hostile.sqlite");
  copyFileSync(placeIn(scene.source).file, file);
  attack(file, scene);
  return file;
}
