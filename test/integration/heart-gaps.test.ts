import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { forkHeart } from "../../src/heart/care/fork.ts";
import { repairHeart, type RepairReport } from "../../src/heart/care/repair.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import type { MergeReport } from "../../src/heart/merge/merge.ts";
import { TASK_DOT } from "../../src/heart/tables.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, raw, say, talk, texts } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

/**
 * Three sticks that once had all the same: a message, a task "stays", and a task "goes" that was then removed on a. All have heard of it, and
 * a has pruned the remove. `older` puts back the file that b had before.
 */
class Pruned implements Disposable {
  readonly #dir: TempDir = tempDir("noctem-gaps-");
  readonly #session;
  readonly #deps = heartDeps();

  constructor() {
    mkdirSync(this.#folder("a"), { mode: 0o700 });
    using a = openIn(this.#folder("a"));
    const { session, messages } = talk(a, "one", "two");
    say(a, session, messages.at(-1)?.id ?? null, "three");
    this.#session = session;
    must(a.tasks.add({ title: "stays" }));
    const goes = must(a.tasks.add({ title: "goes" })).id;
    for (const name of ["b", "c"]) {
      must(forkHeart(this.#deps, placeIn(this.#folder("a")), placeIn(this.#folder(name))));
      this.pull("a", name);
    }
    copyFileSync(placeIn(this.#folder("b")).file, this.#older);
    // By another writing session, whose stream nothing will happen to.
    using other = openIn(this.#folder("a"));
    must(other.tasks.remove(goes));
    for (const name of ["b", "c"]) {
      this.pull(name, "a");
      this.pull("a", name);
    }
    expect(must(this.#copies("a").compact()).pruned).toBe(1);
  }

  #folder = (name: string): string => join(this.#dir.path, name);
  #copies = (name: string) => heartCopies(this.#deps, placeIn(this.#folder(name)), BUILD);
  get #older(): string {
    return join(this.#dir.path, "older.sqlite");
  }

  pull = (into: string, from: string): MergeReport => must(this.#copies(into).merge(placeIn(this.#folder(from)).file, { dryRun: false }));

  older(): void {
    copyFileSync(this.#older, placeIn(this.#folder("b")).file);
  }

  /** A message is altered, by default the last one, and the repair leaves it out. */
  lose(name: string, message = 2): RepairReport {
    {
      using db = raw(this.#folder(name));
      db.run("update message set role = 'system' where seq = (select seq from message order by seq limit 1 offset ?)", message);
    }
    return this.#repair(name);
  }

  /** The mark that removes were pruned is lost. */
  loseFloor(name: string): RepairReport {
    {
      using db = raw(this.#folder(name));
      expect(db.run("update remove_floor set seq = seq - 1").changes).toBeGreaterThan(0);
    }
    return this.#repair(name);
  }

  /** A page of long ago comes back, with a task on it that was removed since. */
  comeBack(name: string): RepairReport {
    {
      using db = raw(this.#folder(name));
      db.run("attach ? as o", this.#older);
      const columns = [...TASK_DOT.columns, "mac"].join(", ");
      db.run(`insert or ignore into main.task_dot (${columns}) select ${columns} from o.task_dot`);
    }
    return this.#repair(name);
  }

  #repair(name: string): RepairReport {
    const place = placeIn(this.#folder(name));
    const target = `${place.file}.new`;
    const report = must(repairHeart(this.#deps, place, target));
    renameSync(target, place.file);
    return report;
  }

  /** Titles of tasks, texts of messages, and streams with gaps. */
  has(name: string) {
    using heart = openIn(this.#folder(name));
    expect(must(verifyHeart(this.#deps, placeIn(this.#folder(name)))).faults).toEqual([]);
    const gaps = must(this.#copies(name).status()).streams.withGaps;
    return {
      tasks: heart.tasks
        .all()
        .map(({ title }) => title)
        .sort(),
      texts: texts(heart, this.#session),
      gaps,
    };
  }

  meet(...names: readonly string[]): void {
    for (const _ of [1, 2]) for (const into of names) for (const from of names) if (into !== from) this.pull(into, from);
  }

  [Symbol.dispose](): void {
    this.#dir[Symbol.dispose]();
  }
}

const WHOLE = { tasks: ["stays"], texts: ["one", "two", "three"], gaps: 0 };

describe("a repaired copy that had pruned removes", () => {
  test("gets back what it lost from an older copy, but not what was removed; a whole copy closes the gap", () => {
    using sticks = new Pruned();
    expect(sticks.lose("a")).toMatchObject({ missing: 1, gaps: 1 });
    sticks.older();
    expect(sticks.pull("a", "b")).toMatchObject({ messages: 1, tasksAdded: 0 });
    // Whether "goes" was lost or removed, b cannot say.
    expect(sticks.has("a")).toEqual({ ...WHOLE, gaps: 1 });
    sticks.pull("a", "c");
    expect(sticks.has("a")).toEqual(WHOLE);
    sticks.meet("a", "b", "c");
    for (const name of ["a", "b", "c"]) expect(sticks.has(name)).toEqual(WHOLE);
  });

  test("takes nothing away from an older copy for what it cannot tell, and all end alike once a whole one answers", () => {
    using sticks = new Pruned();
    sticks.lose("a");
    sticks.older();
    expect(sticks.pull("b", "a")).toMatchObject({ mode: "full", tasksRemoved: 0 });
    expect(sticks.has("b")).toEqual({ tasks: ["goes", "stays"], texts: WHOLE.texts, gaps: 1 });
    // The two of them alone: nothing is lost, and neither takes the question for answered.
    sticks.meet("a", "b");
    expect(sticks.has("a")).toEqual({ ...WHOLE, gaps: 1 });
    expect(sticks.has("b")).toEqual({ tasks: ["goes", "stays"], texts: WHOLE.texts, gaps: 1 });
    sticks.meet("a", "b", "c");
    for (const name of ["a", "b", "c"]) expect(sticks.has(name)).toEqual(WHOLE);
  });

  test("and another that lost something else fill each other's gaps", () => {
    using sticks = new Pruned();
    expect(sticks.lose("a", 2)).toMatchObject({ missing: 1, gaps: 1 });
    expect(sticks.lose("b", 1)).toMatchObject({ missing: 1, gaps: 1 });
    expect(sticks.pull("a", "b")).toMatchObject({ messages: 1, tasksRemoved: 0 });
    expect(sticks.pull("b", "a")).toMatchObject({ messages: 1, tasksRemoved: 0 });
    // Neither can know that nothing else is missing.
    for (const name of ["a", "b"]) expect(sticks.has(name)).toEqual({ ...WHOLE, gaps: 1 });
    sticks.meet("a", "b", "c");
    for (const name of ["a", "b", "c"]) expect(sticks.has(name)).toEqual(WHOLE);
    expect(sticks.pull("a", "b").same).toBe(true);
  });

  test("whose mark of it is lost brings nothing back from an older copy", () => {
    using sticks = new Pruned();
    expect(sticks.loseFloor("a")).toMatchObject({ gaps: 0 });
    sticks.older();
    expect(sticks.pull("b", "a")).toMatchObject({ mode: "full", tasksRemoved: 1 });
    expect(sticks.pull("a", "b")).toMatchObject({ tasksAdded: 0 });
    for (const name of ["a", "b"]) expect(sticks.has(name)).toEqual(WHOLE);
  });

  test("loses again what only an old page brought back", () => {
    using sticks = new Pruned();
    expect(sticks.comeBack("a").gaps).toBe(1);
    expect(sticks.has("a")).toEqual({ ...WHOLE, tasks: ["goes", "stays"], gaps: 1 });
    sticks.pull("a", "c");
    expect(sticks.has("a")).toEqual(WHOLE);
    expect(sticks.pull("c", "a").same).toBe(true);
  });
});
