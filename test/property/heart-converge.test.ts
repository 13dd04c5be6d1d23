import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { coverage, DAY, digest, Fleet, type Command } from "../support/heart-replica.ts";

/** Cases of the long property; `RUNS=20000` for a night. What failed is run again with the seed and the path that it printed. */
const RUNS = Number(Bun.env["RUNS"] ?? 1000);
const REPLAY = Bun.env["SEED"] === undefined ? {} : { seed: Number(Bun.env["SEED"]), path: Bun.env["REPLAY_PATH"] ?? "" };
const REPORT = { includeErrorInReport: true, ...REPLAY };
const TIMEOUT = 60_000 + RUNS * 1000;

const at = fc.nat(4);
const which = fc.nat(7);
const key = fc.constantFrom(0, 0, 0, 1);

const STEPS = [1, 1000, 6 * 60_000, DAY, 8 * DAY, 100 * DAY] as const;
const SKEWS = [0, 4 * 60_000, 6 * 60_000, 3_600_000, 10 * DAY, 89 * DAY, 91 * DAY, 200 * DAY, 460 * DAY] as const;
const skew = fc.tuple(fc.constantFrom(...SKEWS), fc.constantFrom(1, -1)).map(([by, sign]) => by * sign);

const weighted = (weight: number, arbitrary: fc.Arbitrary<Command>): fc.WeightedArbitrary<Command> => ({ weight, arbitrary });
const kind = <T extends string>(name: T): fc.Arbitrary<T> => fc.constant(name);

const command: fc.Arbitrary<Command> = fc.oneof(
  weighted(14, fc.record({ kind: kind("pull"), at, from: at, closed: fc.boolean(), dry: fc.nat(5).map((n) => n === 5) })),
  weighted(6, fc.record({ kind: kind("set"), at, key, value: fc.constantFrom("new", "new", "same", "none") })),
  weighted(6, fc.record({ kind: kind("remember"), at, key, value: fc.constantFrom("new", "new", "same") })),
  weighted(3, fc.record({ kind: kind("forget"), at, key })),
  weighted(1, fc.record({ kind: kind("add"), at })),
  weighted(10, fc.record({ kind: fc.constantFrom("rename", "remove", "remove", "restore"), at, task: fc.nat(2) })),
  weighted(2, fc.record({ kind: kind("count"), at, detail: fc.boolean() })),
  weighted(7, fc.record({ kind: fc.constantFrom("enter", "reopen", "reopen", "compact", "compact", "keep", "keep"), at })),
  weighted(4, fc.record({ kind: fc.constantFrom("log", "log", "end"), at })),
  weighted(2, fc.record({ kind: kind("say"), at, session: key, parent: which })),
  weighted(5, fc.record({ kind: fc.constantFrom("redact", "forgetEntry", "dropSession", "search", "search"), at, which })),
  weighted(3, fc.record({ kind: kind("back"), at, which })),
  weighted(2, fc.record({ kind: kind("resolve"), at, which, how: fc.constantFrom("restore", "dismiss") })),
  weighted(2, fc.record({ kind: kind("retire"), at, other: at })),
  weighted(2, fc.record({ kind: kind("clone"), at, from: at, fork: fc.nat(3).map((n) => n === 3) })),
  weighted(3, fc.record({ kind: kind("skew"), at, by: skew })),
  weighted(2, fc.record({ kind: kind("advance"), by: fc.constantFrom(...STEPS) })),
  weighted(2, fc.record({ kind: kind("settle"), without: at, task: fc.nat(2), again: fc.boolean() })),
);

const seed = fc.nat(0xffff);
const commands = (maxLength: number): fc.Arbitrary<Command[]> => fc.array(command, { maxLength, size: "max" });
/** Of each copy, whether it has a name of its own. Mostly few: what two do together is not found sooner among five. */
const copies = fc.oneof(
  { weight: 5, arbitrary: fc.array(fc.boolean(), { minLength: 2, maxLength: 2 }) },
  { weight: 4, arbitrary: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.array(fc.boolean(), { minLength: 4, maxLength: 5 }) },
);

describe("copies of a heart", () => {
  test(
    "show what follows from the writes they know of, whatever was done with them, and end alike",
    () => {
      const covered = coverage();
      fc.assert(
        fc.property(seed, copies, commands(12), (seed, copies, commands) => {
          using fleet = Fleet.start(seed, copies, covered);
          fleet.run(commands);
          fleet.converge();
        }),
        { numRuns: RUNS, ...REPORT },
      );
      // A property that never met what it is about would hold as well.
      if (RUNS >= 450) expect(Object.entries(covered).filter(([, times]) => times < 10)).toEqual([]);
      if (Bun.env["SHOW"] !== undefined) console.log(covered);
    },
    TIMEOUT,
  );

  test(
    "merge as a lattice does: in any order, any grouping, any number of times",
    () => {
      const three = fc.array(fc.boolean(), { minLength: 3, maxLength: 3 });
      fc.assert(
        fc.property(seed, three, commands(10), (seed, copies, commands) => {
          using fleet = Fleet.start(seed, copies);
          fleet.run(commands);
          const merged = (into: string, ...from: readonly string[]): string => {
            for (const source of from) fleet.join(into, source);
            return into;
          };
          const [a, b, c] = [0, 1, 2].map((at) => (): string => fleet.copyOf(at)) as [() => string, () => string, () => string];
          const ab = digest(merged(a(), b()));
          expect(digest(merged(b(), a()))).toBe(ab);
          expect(digest(merged(a(), b(), b()))).toBe(ab);
          expect(digest(merged(a(), a()))).toBe(digest(a()));
          expect(digest(merged(merged(a(), b()), a()))).toBe(ab);
          expect(digest(merged(merged(a(), b()), c()))).toBe(digest(merged(a(), merged(b(), c()))));
        }),
        { numRuns: 100, ...REPORT },
      );
    },
    TIMEOUT,
  );
});
