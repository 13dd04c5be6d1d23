import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { OpenHeart } from "../../src/heart/open.ts";
import type { Severity } from "../../src/heart/incidents.ts";
import { miscounted, must, openIn, raw } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";

test("counts agree with a plain tally over two processes and reopenings; streams are counted after every step", () => {
  const step = fc.record({
    op: fc.constantFrom("count" as const, "count" as const, "acknowledge" as const, "reopen" as const),
    who: fc.nat(1),
    // The name of an attribute is made of both.
    kind: fc.constantFrom("seal", "seal.1", "\ud800"),
    severity: fc.constantFrom<Severity>(0, 1, 4),
    detail: fc.option(fc.string({ maxLength: 5 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      using dir = tempDir("noctem-incidents-");
      const hearts: OpenHeart[] = [openIn(dir.path), openIn(dir.path)];
      const model = new Map<string, { count: number; acknowledged: number; detail: string | null }>();
      for (const { op, who, kind, severity, detail } of steps) {
        const heart = hearts[who] as OpenHeart;
        const name = `${kind.toWellFormed()}|${severity}`;
        const known = model.get(name) ?? { count: 0, acknowledged: 0, detail: null };
        if (op === "reopen") {
          heart[Symbol.dispose]();
          hearts[who] = openIn(dir.path);
          continue;
        }
        if (op === "count") {
          must(heart.incidents.count(kind, severity, detail));
          model.set(name, { ...known, count: known.count + 1, detail: detail ?? known.detail });
        } else {
          expect(heart.incidents.acknowledge(kind, severity).ok).toBe(model.has(name));
          if (model.has(name)) model.set(name, { ...known, acknowledged: known.count });
        }
        expect(miscounted(dir.path)).toEqual([]);
      }
      const listed = (hearts[0] as OpenHeart).incidents.list();
      const found = listed.map(
        ({ kind, severity, count, acknowledged, detail }) => [`${kind}|${severity}`, { count, acknowledged, detail }] as const,
      );
      expect(new Map<string, { count: number; acknowledged: number; detail: string | null }>(found)).toEqual(model);
      expect(listed.map(({ severity }) => severity)).toEqual(listed.map(({ severity }) => severity).sort((a, b) => b - a));
      for (const heart of hearts) heart[Symbol.dispose]();
    }),
    { numRuns: 40 },
  );
}, 60_000);

test("an altered counter is left out and told, and an acknowledgement that is no number counts for nothing", () => {
  using dir = tempDir("noctem-incidents-");
  using heart = openIn(dir.path);
  must(heart.incidents.count("seal", 4));
  must(heart.incidents.count("clock", 1));
  must(heart.incidents.acknowledge("clock", 1));
  {
    using db = raw(dir.path);
    db.run("update incident set count = 1000 where kind = 'seal'");
    db.run("update cell set v = '99' where ns = 'incident'");
  }
  expect(heart.incidents.list()).toMatchObject([{ kind: "clock", count: 1, acknowledged: 0 }]);
  expect(heart.incidents.damaged()).toBe(1);
});
