import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { backupHeart } from "../../src/heart/care/backup.ts";
import { restoreHeart } from "../../src/heart/care/restore.ts";
import { forkHeart } from "../../src/heart/care/fork.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { openHeart, type OpenHeart } from "../../src/heart/open.ts";
import type { HeartDeps } from "../../src/heart/ports.ts";
import { MERGED } from "../../src/heart/tables.ts";
import type { MessageId, Millis } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { BUILD, must, placeIn, say } from "./heart.ts";
import { unjournalled } from "./unsynced.ts";

/**
 * A year of three sticks on five hosts: use, copies, backups, restores, merges in any order, and two hosts whose clocks are wild. What was
 * acknowledged is written down beside, with the sticks that have it.
 */
export interface Year {
  readonly sessions: number;
  readonly merges: number;
  readonly conflicts: number;
  readonly restores: number;
  /** What is wrong in the end; empty when nothing is. */
  readonly faults: readonly string[];
}

const STICKS = ["a", "b", "c"] as const;
const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);
/** Milliseconds by which each host's clock is wrong: right, a little, a zone, four years behind, fifteen months ahead. */
const HOSTS = [0, 40_000, 7_200_000, -4 * 365 * DAY, 460 * DAY];

export function liveThroughAYear(folder: string, sessions: number, random: () => number): Year {
  // A backup and a restore now and then, however long the year is.
  const RARELY = Math.min(0.02, 60 / sessions);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  let now = START;
  let wrong = 0;
  const deps: HeartDeps = heartDeps({ sql: unjournalled, clock: { now: () => (now + wrong) as Millis, monotonic: () => now } });
  const place = (stick: string) => placeIn(join(folder, stick));
  const open = (stick: string): OpenHeart => must(openHeart(deps, place(stick), BUILD));
  /** By stick: ids of messages that it must have, and of those that it must have forgotten. */
  const has = new Map<string, Set<string>>(STICKS.map((stick) => [stick, new Set()]));
  const forgot = new Map<string, Set<string>>(STICKS.map((stick) => [stick, new Set()]));
  const kept = new Map<string, { readonly has: Set<string>; readonly forgot: Set<string> }>();
  const seen = { merges: 0, conflicts: 0, restores: 0 };
  mkdirSync(join(folder, "a"), { recursive: true });
  open("a")[Symbol.dispose]();
  for (const stick of STICKS.slice(1)) must(forkHeart(deps, place("a"), place(stick)));

  for (let session = 0; session < sessions; session++) {
    now = START + Math.floor((session / sessions) * 365 * DAY);
    wrong = random() < 0.9 ? (pick(HOSTS.slice(0, 3)) ?? 0) : pick(HOSTS);
    const stick = pick(STICKS);
    const mine = has.get(stick) ?? new Set();
    {
      using heart = open(stick);
      use(heart, mine, forgot.get(stick) ?? new Set());
    }
    const luck = random();
    if (luck < 0.06) pull(stick, pick(STICKS));
    else if (luck < 0.06 + RARELY) backUp(stick);
    else if (luck < 0.06 + 2 * RARELY) restore(stick);
    else if (luck < 0.1) must(heartCopies(deps, place(stick), BUILD).compact());
  }
  wrong = 0;
  for (let round = 0; round < 2; round++) for (const to of STICKS) for (const from of STICKS) pull(to, from);
  return { sessions, ...seen, faults: faultsAtTheEnd() };

  function use(heart: OpenHeart, mine: Set<string>, forgotten: Set<string>): void {
    const what = random();
    if (what < 0.5) {
      // One from the future stays the newest for the rest of the year; nobody goes on with a conversation for that long.
      const recent = heart.sessions(5).filter((overview) => overview.messages < 20);
      const talk = random() < 0.3 ? must(heart.createSession()) : (pick(recent)?.id ?? must(heart.createSession()));
      const parent = heart.path(talk).at(-1)?.message.id ?? null;
      mine.add(say(heart, talk, parent, `said on day ${Math.floor((now - START) / DAY)}`).id);
    } else if (what < 0.6)
      must(heart.memory.remember(`key ${Math.floor(random() * 20)}`, `value ${now}`, { c: 1, k: ["heart"], i: 3, p: [] }));
    else if (what < 0.62) void heart.memory.forget(`key ${Math.floor(random() * 20)}`);
    else if (what < 0.75) must(heart.tasks.add({ title: `task of ${now}` }));
    else if (what < 0.85) {
      const task = pick(heart.tasks.open(20));
      if (task !== undefined) expectDone(random() < 0.5 ? heart.tasks.remove(task.id) : heart.tasks.update(task.id, { status: "done" }));
    } else if (what < 0.9) must(heart.incidents.count("kind", 1));
    else if (what < 0.95) must(heart.entries.append({ kind: "skill", body: `ran ${now}`, label: { c: 1, k: [], i: 1, p: [] } }));
    else if (what < 0.97) {
      const newest = heart.newestSession();
      const message = newest === null ? undefined : pick(heart.path(newest))?.message;
      if (message !== undefined && heart.redact(message.id).ok) forgotten.add(message.id);
    } else must(heart.state.set("where", String(now)));
  }

  function pull(to: string, from: string): void {
    if (to === from) return;
    const report = must(heartCopies(deps, place(to), BUILD).merge(place(from).file, { dryRun: false }));
    seen.merges++;
    seen.conflicts += report.conflicts;
    for (const known of [has, forgot]) for (const id of known.get(from) ?? []) known.get(to)?.add(id);
  }

  function backUp(stick: string): void {
    const name = `${stick}-${Math.floor(random() * 3)}`;
    rmSync(join(folder, "backups", `${name}.sqlite`), { force: true });
    mkdirSync(join(folder, "backups"), { recursive: true });
    must(backupHeart(deps, place(stick), join(folder, "backups", `${name}.sqlite`)));
    kept.set(name, { has: new Set(has.get(stick)), forgot: new Set(forgot.get(stick)) });
  }

  /**
   * Either as it is meant to be done, which keeps forgotten what was forgotten since, or as people do it: by copying the file over, which takes
   * the whole stick back in time. What only it knew is gone then, and no copy can tell.
   */
  function restore(stick: string): void {
    const names = [...kept.keys()].filter((name) => name.startsWith(stick));
    const name = pick(names);
    if (name === undefined) return;
    seen.restores++;
    const then = kept.get(name) ?? { has: new Set(), forgot: new Set() };
    const file = join(folder, "backups", `${name}.sqlite`);
    const aside = join(folder, "aside.sqlite");
    rmSync(aside, { force: true });
    const meant = random() < 0.5;
    if (meant) must(restoreHeart(deps, place(stick), file, aside));
    else copyFileSync(file, place(stick).file);
    const since = meant ? [...(forgot.get(stick) ?? [])].filter((id) => then.has.has(id)) : [];
    has.set(stick, new Set(then.has));
    forgot.set(stick, new Set([...then.forgot, ...since]));
  }

  function faultsAtTheEnd(): string[] {
    const faults: string[] = [];
    const digests = new Set(STICKS.map((stick) => digestOf(place(stick).file)));
    if (digests.size !== 1) faults.push("the sticks differ");
    for (const stick of STICKS) {
      const report = must(verifyHeart(deps, place(stick)));
      if (report.count > 0) faults.push(`${stick}: ${report.faults[0]?.detail ?? ""}`);
      using heart = open(stick);
      const there = new Map(
        heart
          .sessions(1_000_000)
          .flatMap(({ id }) => heart.messages(id))
          .map((message) => [message.id, message]),
      );
      for (const id of has.get(stick) ?? [])
        if (!there.has(id as MessageId) && forgot.get(stick)?.has(id) !== true) faults.push(`${stick}: ${id} is lost`);
      for (const id of forgot.get(stick) ?? [])
        if (there.get(id as MessageId)?.redacted === false) faults.push(`${stick}: ${id} came back`);
    }
    return faults.slice(0, 10);
  }
}

function expectDone(result: { readonly ok: boolean }): void {
  if (!result.ok) throw new Error(`not expected: ${JSON.stringify(result)}`);
}

/** Everything that merges, without local numbers and seals. */
export function digestOf(file: string): string {
  using db = sqliteDriver.open(file, { create: false, readOnly: true });
  const hash = new Bun.CryptoHasher("sha256");
  for (const { name, columns } of MERGED) {
    if (name === "task_remove") continue;
    hash.update(name);
    db.each(`select ${columns.join(", ")} from ${name} order by actor, seq`, (row) => void hash.update(textOf(row)));
  }
  for (const name of ["message", "entry"]) {
    db.each(
      `select m.actor, m.seq, b.body from ${name} m join ${name}_body b on b.n = m.n order by 1, 2`,
      (row) => void hash.update(textOf(row)),
    );
  }
  db.each("select actor, seq from vv order by actor", (row) => void hash.update(textOf(row)));
  return hash.digest("hex");
}

const textOf = (row: object): string =>
  JSON.stringify(Object.values(row).map((value: unknown) => (value instanceof Uint8Array ? value.toHex() : value)));
