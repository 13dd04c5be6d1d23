import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { OpenHeart } from "../../src/heart/open.ts";
import { rebuildTaskOverview, TASK_STATUSES, type Task, type TaskAttributes } from "../../src/heart/tasks.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { miscounted, must, openIn, raw } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

const byId = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? -1 : 1);
const plain = ({ id, addedAt: _, damaged, ...attributes }: Task) => ({ id, damaged, ...attributes });

describe("tasks against a plain map", () => {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 8 }), fc.constantFrom("", "\0", "null", '"', "\u{1f600}"));
  const changes: fc.Arbitrary<Partial<TaskAttributes>> = fc.record(
    {
      title: text,
      status: fc.constantFrom(...TASK_STATUSES),
      priority: fc.nat(9),
      due: fc.option(fc.nat(3).map((n) => (n * 1000) as Millis)),
      source: text,
      plan: fc.option(text),
      result: fc.option(text),
      parent: fc.option(fc.constant("ab".repeat(16))),
    },
    { requiredKeys: [] },
  );
  const at = fc.nat(5);
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ op: fc.constant("add" as const), changes }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant("update" as const), at, changes }) },
    { weight: 3, arbitrary: fc.record({ op: fc.constant("remove" as const), at }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant("restore" as const), at }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("reopen" as const) }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant("other" as const) }) },
  );

  test("through any steps of two processes at one file and reopenings; streams are counted after every one", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        using dir = tempDir("noctem-tasks-");
        // Two writing sessions, so that a task has dots of both.
        const hearts: OpenHeart[] = [openIn(dir.path), openIn(dir.path)];
        const model: { readonly id: string; readonly attributes: TaskAttributes; readonly there: boolean }[] = [];
        try {
          let who = 0;
          for (const one of steps) {
            const heart = hearts[who] as OpenHeart;
            if (one.op === "other") {
              who = 1 - who;
              continue;
            }
            if (one.op === "reopen") {
              heart[Symbol.dispose]();
              hearts[who] = openIn(dir.path);
              continue;
            }
            if (one.op === "add") {
              const { id, addedAt: _, damaged: __, ...attributes } = must(heart.tasks.add({ title: "new", ...one.changes }));
              expect(attributes).toMatchObject({ title: "new", ...one.changes });
              model.push({ id, attributes, there: true });
            } else {
              const known = model[one.at];
              if (known === undefined) continue;
              const { id, attributes, there } = known;
              const worked =
                one.op === "remove"
                  ? heart.tasks.remove(id)
                  : one.op === "restore"
                    ? heart.tasks.restore(id)
                    : heart.tasks.update(id, one.changes);
              expect(worked.ok).toBe(one.op === "restore" || there);
              const after = one.op === "update" && there ? { ...attributes, ...one.changes } : attributes;
              model[one.at] = { id, attributes: after, there: one.op === "restore" || (there && one.op !== "remove") };
            }
            expect(miscounted(dir.path)).toEqual([]);
          }
          const expected = model.filter(({ there }) => there).map(({ id, attributes }) => ({ id, damaged: false, ...attributes }));
          const found = (hearts[0] as OpenHeart).tasks.all();
          expect(found.map(plain).sort(byId)).toEqual(expected.sort(byId));
          const open = found
            .filter(({ status }) => ["queued", "running", "waiting"].includes(status))
            .sort((a, b) => b.priority - a.priority || (a.due ?? Infinity) - (b.due ?? Infinity));
          const order = ({ priority, due }: Task): string => `${priority} ${due}`;
          expect((hearts[1] as OpenHeart).tasks.open(99).map(order)).toEqual(open.map(order));
        } finally {
          for (const heart of hearts) heart[Symbol.dispose]();
        }
        // The list that is kept is the list that would be made anew.
        using db = raw(dir.path);
        const kept = db.all("select * from task_overview");
        rebuildTaskOverview(db, "all");
        expect(kept).toEqual(db.all("select * from task_overview"));
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});

test("a remove names every dot that it saw, and nothing else", () => {
  using dir = tempDir("noctem-tasks-");
  using one = openIn(dir.path);
  using two = openIn(dir.path);
  const { id } = must(one.tasks.add({ title: "twice" }));
  must(two.tasks.restore(id));
  using db = raw(dir.path);
  const dots = db.all("select actor as dot_actor, seq as dot_seq from task_dot order by actor");
  expect(dots).toHaveLength(2);
  must(one.tasks.remove(id));
  expect(db.all("select dot_actor, dot_seq from task_remove order by dot_actor")).toEqual(dots);
  expect(db.all("select * from task_dot")).toEqual([]);
  expect(db.get("select count(*) as n from cell where ns = 'task'")).toEqual({ n: 1 });
  // Once more by the same writing session: the newer remove of a stream says it all.
  must(two.tasks.restore(id));
  must(one.tasks.remove(id));
  expect(db.get("select count(*) as n from task_remove")).toEqual({ n: 2 });
  expect(miscounted(dir.path)).toEqual([]);
});

test("a dot or attribute that was altered is no reason to list, remove or trust anything", () => {
  using dir = tempDir("noctem-tasks-");
  using heart = openIn(dir.path);
  const [a, b] = [must(heart.tasks.add({ title: "a", priority: 9 })), must(heart.tasks.add({ title: "b", status: "done" }))];
  {
    using db = raw(dir.path);
    db.run("update task_dot set hlc = hlc + 1 where elem = ?", Uint8Array.fromHex(a.id));
    // Says of a finished task that it is open.
    db.run("update task_overview set open = 1 where elem = ?", Uint8Array.fromHex(b.id));
    db.run("update cell set hlc = 9007199254740991 where k = ?", `${b.id}.title`);
  }
  expect(heart.tasks.open(9)).toEqual([]);
  expect(heart.tasks.remove(a.id)).toMatchObject({ ok: false, error: { kind: "not-found" } });
  expect(heart.tasks.get(b.id)).toMatchObject({ title: "", damaged: true });
  expect(must(heart.tasks.update(b.id, { title: "b again" }))).toMatchObject({ title: "b again", damaged: false });
  using db = raw(dir.path);
  // An altered stamp is not carried into what is sealed: it would win against every later write of every copy.
  expect(Number(db.get("select hlc from cell where k = ?", `${b.id}.title`)?.["hlc"])).toBeLessThan(9007199254740991 / 2);
});
