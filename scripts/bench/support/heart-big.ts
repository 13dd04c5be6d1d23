import { join } from "node:path";
import { pairedRatio, summarise } from "../stats.ts";
import type { Row } from "../table.ts";
import { copyHeart, heartFile, HeartLoader, makeHeart } from "./heart-load.ts";
import { mergeInto } from "./heart-merge.ts";
import { drawEdits, type Edit, mulberry32, Op, type Space } from "./heart-ops.ts";
import { rawMerge, rowsOf } from "./heart-raw.ts";

const REGISTERS = 700_000;
const ELEMENTS = 400_000;
const SESSIONS = 40;
/** Ten years of ten writing sessions a day. */
const MANY_SESSIONS = 36_500;
const NO_CHANGE_ROUNDS = 20;

/** Merges whose cost must follow what changed, and not what is there. */
export function bigHearts(folder: string): readonly Row[] {
  return [...millionRows(join(folder, "rows")), ...manySessions(join(folder, "sessions"))];
}

function millionRows(folder: string): readonly Row[] {
  const trio = new Trio(folder, (loader) => {
    for (let session = 0; session < SESSIONS; session++) {
      loader.nextSession();
      loader.write(share(Op.SET, REGISTERS, session));
      loader.write(share(Op.ADD, ELEMENTS, session));
    }
  });
  const space: Space = {
    random: mulberry32(11),
    registers: REGISTERS,
    present: new Uint8Array(ELEMENTS).fill(1),
    writer: "the other copy",
  };
  const size = `${(rowsOf(trio.target) / 1e6).toFixed(1)} M rows`;
  return [
    ...trio.changes(1000, 7, space, `1k changes into ${size}`, 1.3),
    ...trio.changes(10_000, 3, space, `10k changes into ${size}`),
    trio.noChange(`no change, ${SESSIONS} writing sessions`),
  ];
}

function manySessions(folder: string): readonly Row[] {
  const trio = new Trio(folder, (loader) => {
    for (let session = 0; session < MANY_SESSIONS; session++) {
      loader.nextSession();
      loader.write([{ op: Op.SET, at: session, value: `written in ${session}` }]);
    }
  });
  const noChange = trio.noChange(`no change, ${MANY_SESSIONS} writing sessions`);
  const space: Space = {
    random: mulberry32(12),
    registers: MANY_SESSIONS,
    present: new Uint8Array(1000).fill(1),
    writer: "the other copy",
  };
  return [noChange, ...trio.changes(1000, 5, space, `1k changes, ${MANY_SESSIONS} writing sessions`)];
}

/** Every `SESSIONS`th of them. */
function* share(op: Edit["op"], of: number, session: number): Generator<Edit> {
  for (let at = session; at < of; at += SESSIONS) yield { op, at, value: `the first value of ${at}` };
}

/** A heart, a copy of it that goes on alone, and another copy into which bare SQL merges the same rows. */
class Trio {
  readonly target: string;
  readonly #raw: string;
  readonly #source: string;

  constructor(folder: string, fill: (loader: HeartLoader) => void) {
    [this.target, this.#raw, this.#source] = [join(folder, "target"), join(folder, "raw"), join(folder, "source")];
    makeHeart(this.target);
    {
      using loader = new HeartLoader(this.target, { durable: false, cacheMb: 256 });
      fill(loader);
    }
    copyHeart(this.target, this.#raw);
    copyHeart(this.target, this.#source);
  }

  /** In turn, each round with changes of its own, after one round that does not count. */
  changes(count: number, rounds: number, space: Space, what: string, target?: number): readonly Row[] {
    const times = { heart: [] as number[], raw: [] as number[] };
    for (let round = -1; round < rounds; round++) {
      {
        using loader = new HeartLoader(this.#source, { durable: false });
        loader.write(drawEdits(count, space));
      }
      const heart = elapsed(() => mergeInto(this.target, heartFile(this.#source)));
      const raw = elapsed(() => rawMerge(this.#raw, heartFile(this.#source)));
      if (round < 0) continue;
      times.heart.push(heart);
      times.raw.push(raw);
    }
    const ratio: Row = { what: `${what}: over raw SQLite`, unit: "×", value: pairedRatio(times.heart, times.raw) };
    return [
      { what, unit: "ms", value: summarise(times.heart) },
      { what: `${what}: raw SQLite`, unit: "ms", value: summarise(times.raw) },
      target === undefined ? ratio : { ...ratio, target: { at: "most", value: target } },
    ];
  }

  noChange(what: string): Row {
    const times: number[] = [];
    for (let round = -2; round < NO_CHANGE_ROUNDS; round++) {
      const ms = elapsed(() => {
        if (!mergeInto(this.target, heartFile(this.#source)).same) throw new Error(`${what}: there was a change`);
      });
      if (round >= 0) times.push(ms);
    }
    return { what, unit: "ms", value: summarise(times), target: { at: "most", value: 5 } };
  }
}

function elapsed(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}
