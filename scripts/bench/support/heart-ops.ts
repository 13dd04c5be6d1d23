/**
 * The work of the merge bench, the same for every contestant: a start that both replicas share, and then edits that each makes alone.
 *
 * Half of the edits set one of N/2 registers, three tenths add one of N/2 elements and two tenths remove one that is there; half of
 * either exists at the start. Everything follows from the seed, and is drawn again wherever it is needed instead of being kept, so
 * that no contestant's memory holds it.
 */
export const Op = { SET: 0, ADD: 1, REMOVE: 2 } as const;

export interface Edit {
  readonly op: (typeof Op)[keyof typeof Op];
  /** Which register or element: 0 up to `spaceOf(edits)`. */
  readonly at: number;
  /** What a register is set to. */
  readonly value: string;
}

export type Replica = 0 | 1;

/** Edits that stand in one transaction. */
export const GROUP = 1000;
const SEED = 20_240_229;

export const spaceOf = (edits: number): number => edits / 2;

/** Registers and elements with an even number exist before the replicas part. */
export function* startOf(edits: number): Generator<Edit> {
  for (let at = 0; at < spaceOf(edits); at += 2) {
    yield { op: Op.SET, at, value: `the first value of ${at}` };
    yield { op: Op.ADD, at, value: "" };
  }
}

/** In groups of a transaction. */
export function* editsOf(replica: Replica, edits: number): Generator<readonly Edit[]> {
  const random = mulberry32(SEED + replica);
  const space = spaceOf(edits);
  const present = new Uint8Array(space);
  for (let at = 0; at < space; at += 2) present[at] = 1;
  for (let done = 0; done < edits; done += GROUP) {
    yield drawEdits(Math.min(GROUP, edits - done), { random, registers: space, present, writer: `replica ${replica}` });
  }
}

export interface Space {
  readonly random: () => number;
  readonly registers: number;
  /** 1 for elements that are there. Kept up to date by what is drawn. */
  readonly present: Uint8Array;
  /** Stands in the values. */
  readonly writer: string;
}

/** Edits that all change something. */
export function drawEdits(count: number, { random, registers, present, writer }: Space): readonly Edit[] {
  const below = (n: number): number => Math.floor(random() * n);
  return Array.from({ length: count }, (): Edit => {
    const kind = random();
    if (kind < 0.5) return { op: Op.SET, at: below(registers), value: `value ${below(1_000_000)} of ${writer}` };
    const op = kind < 0.8 ? Op.ADD : Op.REMOVE;
    let at = below(present.length);
    // Never endless: half of the elements are there at the start, and more are added than removed.
    while (op === Op.REMOVE && present[at] === 0) at = below(present.length);
    present[at] = op === Op.ADD ? 1 : 0;
    return { op, at, value: "" };
  });
}

/**
 * Elements that one replica removed last and the other, without knowing it, added last. An observed-remove set keeps every one of them.
 */
export function addWins(edits: number): ReadonlySet<number> {
  const [mine, theirs] = [lastOf(0, edits), lastOf(1, edits)];
  const won = new Set<number>();
  for (let at = 0; at < spaceOf(edits); at++) {
    const [a, b] = [mine[at], theirs[at]];
    if ((a === Op.ADD && b === Op.REMOVE) || (a === Op.REMOVE && b === Op.ADD)) won.add(at);
  }
  return won;
}

function lastOf(replica: Replica, edits: number): Uint8Array {
  const last = new Uint8Array(spaceOf(edits));
  for (const group of editsOf(replica, edits)) for (const { op, at } of group) if (op !== Op.SET) last[at] = op;
  return last;
}

/** A small generator of numbers from 0 to 1, good enough to spread edits and the same everywhere. */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
