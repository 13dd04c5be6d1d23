import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { forkHeart } from "../../src/heart/care/fork.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies, type HeartCopies } from "../../src/heart/copies.ts";
import type { MergeReport } from "../../src/heart/merge/merge.ts";
import type { OpenHeart } from "../../src/heart/open.ts";
import type { HeartDeps } from "../../src/heart/ports.ts";
import type { Compaction } from "../../src/heart/replicas.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { asVersion2 } from "../support/audit-version2.ts";
import { BUILD, must, openIn, placeIn } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

const DAY = 86_400_000;

/** Sticks of one heart, each a replica with a name of its own, and a clock that is moved by hand. */
class Sticks implements Disposable {
  readonly #dir: TempDir = tempDir("noctem-compact-");
  readonly #deps: HeartDeps;
  #now = BUILD + DAY;

  constructor(...names: readonly string[]) {
    this.#deps = heartDeps({ clock: { now: () => this.#now as Millis, monotonic: () => this.#now } });
    const [first = "", ...others] = names;
    mkdirSync(this.folder(first));
    this.open(first)[Symbol.dispose]();
    for (const name of others) must(forkHeart(this.#deps, placeIn(this.folder(first)), placeIn(this.folder(name))));
  }

  folder = (name: string): string => join(this.#dir.path, name);
  open = (name: string): OpenHeart => openIn(this.folder(name), this.#deps);
  copies = (name: string): HeartCopies => heartCopies(this.#deps, placeIn(this.folder(name)), BUILD);
  compact = (name: string): Compaction => must(this.copies(name).compact());
  pull = (into: string, from: string): MergeReport => must(this.copies(into).merge(placeIn(this.folder(from)).file, { dryRun: false }));
  later = (by: number): void => void (this.#now += by);

  /** What one writing session does. */
  at<T>(name: string, work: (heart: OpenHeart) => T): T {
    using heart = this.open(name);
    return work(heart);
  }

  replica(name: string): string {
    return must(this.copies(name).status()).replica;
  }

  /** Rows of the remove log. */
  removes(name: string): number {
    return must(this.copies(name).status()).prunable;
  }

  tasks(name: string): string[] {
    return this.at(name, (heart) => heart.tasks.all().map(({ title }) => title)).sort();
  }

  faults(name: string): readonly unknown[] {
    return must(verifyHeart(this.#deps, placeIn(this.folder(name)))).faults;
  }

  /** A file as it is now, to be put back later. */
  keep(name: string): () => void {
    const kept = join(this.#dir.path, `${name}-kept`);
    copyFileSync(placeIn(this.folder(name)).file, kept);
    return () => copyFileSync(kept, placeIn(this.folder(name)).file);
  }

  [Symbol.dispose](): void {
    this.#dir[Symbol.dispose]();
  }
}

const add = (heart: OpenHeart, title: string): string => must(heart.tasks.add({ title })).id;

/** Sticks that all have the tasks "stays" and "goes"; the first then removed the latter. */
function removedOnFirst(...names: readonly [string, ...string[]]): { readonly sticks: Sticks; readonly gone: string } & Disposable {
  const sticks = new Sticks(...names);
  const [first] = names;
  // One writing session, of which the others hear the beginning and then the end.
  using heart = sticks.open(first);
  add(heart, "stays");
  const gone = add(heart, "goes");
  for (const name of names.slice(1)) {
    sticks.pull(name, first);
    sticks.pull(first, name);
  }
  must(heart.tasks.remove(gone));
  return { sticks, gone, [Symbol.dispose]: () => sticks[Symbol.dispose]() };
}

describe("the log of removes", () => {
  test("is pruned when every live replica was seen to have it, and not before", () => {
    using fleet = removedOnFirst("a", "b", "c");
    const { sticks } = fleet;
    const waiting = (): string[] =>
      sticks
        .compact("a")
        .waitingFor.map(({ id }) => id)
        .sort();
    const [b, c] = [sticks.replica("b"), sticks.replica("c")];

    expect(waiting()).toEqual([b, c].sort());
    sticks.pull("b", "a");
    // That b has it is known to b alone.
    expect(waiting()).toEqual([b, c].sort());
    sticks.pull("a", "b");
    expect(waiting()).toEqual([c]);
    sticks.pull("c", "b");
    sticks.pull("b", "c");
    expect(waiting()).toEqual([c]);
    expect(sticks.removes("a")).toBe(1);

    sticks.pull("a", "c");
    expect(sticks.compact("a")).toMatchObject({ pruned: 1, waitingFor: [] });
    expect(sticks.removes("a")).toBe(0);
    expect(sticks.compact("a").pruned).toBe(0);
    expect(sticks.faults("a")).toEqual([]);
    for (const name of ["b", "c"]) {
      expect(sticks.pull(name, "a")).toMatchObject({ same: true });
      expect(sticks.tasks(name)).toEqual(["stays"]);
    }
  });

  test.each([false, true])(
    "is merged in full into a copy that is older than what was pruned, and what that copy did meanwhile stays (pruned by the version before: %p)",
    (before) => {
      using fleet = removedOnFirst("a", "b");
      const { sticks } = fleet;
      const older = sticks.keep("b");
      sticks.pull("b", "a");
      sticks.pull("a", "b");
      expect(sticks.compact("a").pruned).toBe(1);
      older();
      expect(sticks.tasks("b")).toEqual(["goes", "stays"]);
      sticks.at("b", (heart) => add(heart, "new"));

      if (before) asVersion2(sticks.folder("a"));
      expect(sticks.pull("b", "a")).toMatchObject({ mode: "full", tasksRemoved: 1 });
      expect(sticks.tasks("b")).toEqual(["new", "stays"]);
      expect(sticks.pull("a", "b")).toMatchObject({ mode: "delta", tasksAdded: 1 });
      expect(sticks.tasks("a")).toEqual(["new", "stays"]);
      // From now on b knows as little as a of what was pruned, and says so.
      expect(sticks.pull("b", "a").same).toBe(true);
      for (const name of ["a", "b"]) expect(sticks.faults(name)).toEqual([]);
    },
  );

  test("that a copy took over in full is missing there too, and who asks it merges in full as well", () => {
    using fleet = removedOnFirst("a", "b", "c");
    const { sticks } = fleet;
    const older = sticks.keep("b");
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    must(sticks.copies("a").retire(sticks.replica("c")));
    expect(sticks.compact("a").pruned).toBe(1);
    older();
    expect(sticks.pull("b", "a")).toMatchObject({ mode: "full", tasksRemoved: 1 });
    expect(sticks.removes("b")).toBe(0);
    expect(sticks.pull("c", "b")).toMatchObject({ mode: "full", tasksRemoved: 1 });
    expect(sticks.tasks("c")).toEqual(["stays"]);
  });

  test("pruned far away brings nothing back by way of the copy that has not heard of it", () => {
    using fleet = removedOnFirst("a", "b");
    const { sticks } = fleet;
    const older = sticks.keep("b");
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    sticks.compact("a");
    older();
    // The other way round: what a took off does not come back from b.
    expect(sticks.pull("a", "b")).toMatchObject({ tasksAdded: 0, tasksRemoved: 0 });
    expect(sticks.tasks("a")).toEqual(["stays"]);
  });

  test("in full, too, adding wins: what the older copy added again stays", () => {
    using fleet = removedOnFirst("a", "b");
    const { sticks, gone } = fleet;
    const older = sticks.keep("b");
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    sticks.compact("a");
    older();
    sticks.at("b", (heart) => {
      must(heart.tasks.update(gone, { title: "came back" }));
      must(heart.tasks.restore(gone));
    });
    expect(sticks.pull("b", "a")).toMatchObject({ mode: "full" });
    sticks.pull("a", "b");
    for (const name of ["a", "b"]) expect(sticks.tasks(name)).toEqual(["came back", "stays"]);
  });

  test("in full, a task that the source has only not heard of yet stays", () => {
    using sticks = new Sticks("a", "b", "c");
    const gone = sticks.at("a", (heart) => add(heart, "goes"));
    for (const name of ["b", "c"]) sticks.pull(name, "a");
    // c goes on in one writing session, of which a and b hear the beginning.
    using heart = sticks.open("c");
    add(heart, "early");
    for (const name of ["a", "b"]) sticks.pull(name, "c");
    sticks.at("a", (a) => must(a.tasks.remove(gone)));
    must(sticks.copies("a").retire(sticks.replica("c")));
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    expect(sticks.compact("a").pruned).toBe(1);
    add(heart, "late");
    expect(sticks.pull("c", "a")).toMatchObject({ mode: "full", tasksRemoved: 1 });
    expect(sticks.tasks("c")).toEqual(["early", "late"]);
  });

  test("does not wait for a replica that was retired; if it comes back, it merges all the same", () => {
    using fleet = removedOnFirst("a", "b", "c");
    const { sticks } = fleet;
    sticks.pull("b", "a");
    sticks.pull("a", "b");
    expect(sticks.compact("a").waitingFor.map(({ id }) => id)).toEqual([sticks.replica("c")]);
    must(sticks.copies("a").retire(sticks.replica("c").slice(0, 8)));
    expect(sticks.compact("a").pruned).toBe(1);

    sticks.at("c", (heart) => add(heart, "on c"));
    expect(sticks.pull("c", "a")).toMatchObject({ mode: "full", tasksRemoved: 1 });
    sticks.pull("a", "c");
    sticks.pull("b", "a");
    for (const name of ["a", "b", "c"]) {
      expect(sticks.tasks(name)).toEqual(["on c", "stays"]);
      expect(sticks.faults(name)).toEqual([]);
    }
    // Word of the retirement travels, and nobody retires itself.
    expect(
      must(sticks.copies("b").status())
        .replicas.filter(({ retired }) => retired)
        .map(({ id }) => id),
    ).toEqual([sticks.replica("c")]);
    expect(sticks.copies("c").retire(sticks.replica("c"))).toMatchObject({ ok: false, error: { kind: "not-found" } });
  });
});

const MEETING = [
  ["a", "b"],
  ["b", "a"],
  ["a", "b"],
] as const;

/** After it each knows that the other knows. */
function meet(sticks: Sticks): void {
  for (const [into, from] of MEETING) sticks.pull(into, from);
}

describe("writing sessions", () => {
  test("that ended a week ago, and that all have, are settled: merges pass over them and miss nothing", () => {
    using sticks = new Sticks("a", "b");
    for (const name of ["a", "b"]) sticks.at(name, (heart) => add(heart, `on ${name}`));
    sticks.later(6 * DAY);
    sticks.at("a", (heart) => add(heart, "six days later"));
    meet(sticks);
    expect(sticks.compact("a").settled).toBe(0);
    sticks.later(2 * DAY);
    for (const name of ["a", "b"]) sticks.at(name, (heart) => add(heart, `later on ${name}`));
    // Not those of today, nor of two days ago.
    expect([sticks.compact("a").settled, sticks.compact("b").settled]).toEqual([2, 2]);
    meet(sticks);
    expect([sticks.compact("a").settled, sticks.compact("b").settled]).toEqual([0, 0]);
    sticks.at("a", (heart) => add(heart, "once settled"));
    expect(sticks.pull("b", "a")).toMatchObject({ sessions: 1, tasksAdded: 1 });
    expect(sticks.tasks("b")).toHaveLength(6);
    for (const name of ["a", "b"]) expect(sticks.faults(name)).toEqual([]);
  });

  test("that nobody else has are not settled, however old", () => {
    using sticks = new Sticks("a", "b");
    meet(sticks);
    sticks.at("a", (heart) => add(heart, "unheard of"));
    sticks.later(30 * DAY);
    sticks.at("a", (heart) => add(heart, "a month later"));
    expect(sticks.compact("a").settled).toBe(0);
    meet(sticks);
    expect(sticks.compact("a").settled).toBe(1);
  });

  test("that only seemed to have ended go on, here and there, and what they remove is not pruned too early", () => {
    using sticks = new Sticks("a", "b");
    using heart = sticks.open("a");
    const task = add(heart, "before a long pause");
    sticks.later(8 * DAY);
    sticks.at("b", (b) => add(b, "on b"));
    meet(sticks);
    for (const name of ["a", "b"]) expect(sticks.compact(name).settled).toBe(1);
    add(heart, "after it");
    must(heart.tasks.remove(task));
    expect(sticks.compact("a").pruned).toBe(0);
    expect(sticks.pull("b", "a")).toMatchObject({ mode: "delta", tasksAdded: 1, tasksRemoved: 1 });
    expect(sticks.tasks("b")).toEqual(["after it", "on b"]);
    meet(sticks);
    expect(sticks.compact("a").pruned).toBe(1);
    for (const name of ["a", "b"]) expect(sticks.faults(name)).toEqual([]);
  });

  test("settled on one copy alone are compared by the other as before", () => {
    using sticks = new Sticks("a", "b");
    sticks.at("a", (heart) => add(heart, "old"));
    sticks.later(8 * DAY);
    meet(sticks);
    sticks.at("a", (heart) => add(heart, "young"));
    expect(sticks.compact("a").settled).toBe(1);
    expect(sticks.pull("b", "a")).toMatchObject({ tasksAdded: 1 });
    sticks.at("b", (heart) => add(heart, "back"));
    expect(sticks.pull("a", "b")).toMatchObject({ tasksAdded: 1 });
    for (const name of ["a", "b"]) expect(sticks.tasks(name)).toEqual(["back", "old", "young"]);
  });

  test("settled everywhere come into an older copy, which settled others", () => {
    using sticks = new Sticks("a", "b");
    const week = (title: string): void => {
      sticks.at("a", (heart) => add(heart, title));
      sticks.later(8 * DAY);
      sticks.at("b", (heart) => add(heart, `after ${title}`));
      meet(sticks);
      for (const name of ["a", "b"]) expect(sticks.compact(name).settled).toBeGreaterThan(0);
    };
    week("first");
    const older = sticks.keep("b");
    week("second");
    older();
    expect(sticks.tasks("b")).toEqual(["after first", "first"]);
    sticks.pull("b", "a");
    expect(sticks.tasks("b")).toEqual(["after first", "after second", "first", "second"]);
    expect(sticks.faults("b")).toEqual([]);
  });
});
