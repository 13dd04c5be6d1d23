import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { backupName, backupTime, planRotation, type BackupFile } from "../../src/heart/care/rotate.ts";
import type { Millis } from "../../src/lib/brand.ts";

const DAY = 86_400_000;
const NOON = Date.UTC(2026, 5, 1, 12);
const BOUNDS = { days: 7, weeks: 4, bytes: Infinity };
const day = (n: number, bytes = 1): BackupFile => fileAt(NOON + n * DAY, bytes);
const fileAt = (at: number, bytes = 1): BackupFile => ({ name: backupName(at as Millis), at: at as Millis, bytes });
const kept = (files: readonly BackupFile[], now: number, bounds = BOUNDS): BackupFile[] => {
  const gone = new Set(planRotation(files, now as Millis, bounds));
  return files.filter((file) => !gone.has(file));
};

describe("names of backups", () => {
  test("tell their second, and sort by it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), fc.integer({ min: 0, max: 4_000_000_000 }), (a, b) => {
        const [one, other] = [backupName((a * 1000) as Millis), backupName((b * 1000) as Millis)];
        expect(backupTime(one)).toBe((a * 1000) as Millis);
        expect(one < other).toBe(a < b);
      }),
    );
  });

  test.each([
    "heart.sqlite",
    "before-restore-2026-06-01T12-00-00Z.sqlite",
    "heart-2026-06-01T12-00-00Z.sqlite.unfinished",
    "heart-2026-06-31T12-00-00Z.sqlite",
    "heart-2026-13-01T12-00-00Z.sqlite",
    "my heart-2026-06-01T12-00-00Z.sqlite",
  ])("%s is none of the rotation's", (name) => expect(backupTime(name)).toBeNull());
});

describe("what stays of the backups", () => {
  test("made daily for a year: each of seven days, and the last of each of four weeks", () => {
    let files: BackupFile[] = [];
    for (let n = 0; n < 365; n++) {
      files = kept([...files, day(n)], NOON + n * DAY);
      for (let back = 0; back < Math.min(7, n + 1); back++)
        expect([n, back, files.some(({ at }) => at === day(n - back).at)]).toEqual([n, back, true]);
    }
    expect(files.length).toBeGreaterThanOrEqual(9);
    expect(files.length).toBeLessThanOrEqual(11);
    const weeks = new Set(files.map(({ at }) => Math.floor((at - 4 * DAY) / (7 * DAY))));
    expect(weeks.size).toBe(4);
  });

  test("of one day, the last", () => {
    const files = [0, 1, 2].map((hour) => fileAt(NOON + hour * 3_600_000));
    expect(kept(files, NOON + DAY)).toEqual([files[2] as BackupFile]);
  });

  test("after half a year in a drawer: what was there", () => {
    const files = [0, 1, 2, 3, 4, 5, 6].map((n) => day(n));
    expect(kept([...files, day(180)], NOON + 180 * DAY)).toHaveLength(7);
  });

  test("at a host whose clock stands in 2010, or with a backup from 2090: every genuine one", () => {
    const files = [0, 1, 2, 3, 4, 5, 6].map((n) => day(n));
    const early = fileAt(Date.UTC(2010, 0, 1));
    expect(kept([...files, early], early.at)).toEqual([...files, early]);
    const late = [1, 2, 3].map((n) => fileAt(Date.UTC(2090, 0, n)));
    expect(kept([...files, ...late], NOON + 6 * DAY)).toEqual([...files, ...late]);
  });

  test("where room is scarce: the newest, whatever its size", () => {
    const files = [0, 1, 2, 3].map((n) => day(n, 10));
    expect(kept(files, NOON + 3 * DAY, { ...BOUNDS, bytes: 25 })).toEqual(files.slice(2));
    expect(kept(files, NOON + 3 * DAY, { ...BOUNDS, bytes: 5 })).toEqual(files.slice(3));
    expect(kept([...files, fileAt(Date.UTC(2090, 0, 1), 10)], NOON + 3 * DAY, { ...BOUNDS, bytes: 5 })).toEqual(files.slice(3));
  });

  const anyFiles = fc
    .uniqueArray(fc.integer({ min: -400 * 24, max: 400 * 24 }), { maxLength: 60 })
    .chain((hours) =>
      fc.tuple(...hours.map((hour) => fc.integer({ min: 1, max: 100 }).map((bytes) => fileAt(NOON + hour * 3_600_000, bytes)))),
    );

  test("laws: bounded in number and bytes, the newest stays, asking again changes nothing, order does not matter", () => {
    fc.assert(
      fc.property(anyFiles, fc.integer({ min: -400, max: 400 }), fc.integer({ min: 1, max: 3000 }), (files, at, bytes) => {
        const now = NOON + at * DAY;
        const bounds = { ...BOUNDS, bytes };
        const left = kept(files, now, bounds);
        expect(left.length).toBeLessThanOrEqual(22);
        const past = files.filter((file) => file.at <= now + DAY).sort((a, b) => b.at - a.at);
        if (past[0] !== undefined) expect(left).toContain(past[0]);
        if (left.length > 1) expect(left.reduce((sum, file) => sum + file.bytes, 0)).toBeLessThanOrEqual(bytes);
        expect(left.length === 0).toBe(files.length === 0);
        expect(kept(left, now, bounds)).toEqual(left);
        expect(new Set(kept(files.toReversed(), now, bounds))).toEqual(new Set(left));
      }),
      { numRuns: 500 },
    );
  });

  test("law: what is made daily is never more than a week from any day of the last three weeks", () => {
    fc.assert(
      fc.property(fc.integer({ min: 28, max: 200 }), (days) => {
        let files: BackupFile[] = [];
        for (let n = 0; n < days; n++) files = kept([...files, day(n)], NOON + n * DAY);
        for (let back = 0; back <= 21; back++) {
          const nearest = Math.min(...files.map(({ at }) => Math.abs(at - day(days - 1 - back).at)));
          expect(nearest).toBeLessThanOrEqual(7 * DAY);
        }
      }),
      { numRuns: 30 },
    );
  });
});
