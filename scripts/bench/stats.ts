/** Summary of repeated measurements of one thing. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly n: number;
}

export function summarise(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: quantile(sorted, 0.5), min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN, n: sorted.length };
}

/** Ratios a/b of runs that stood next to each other in time: what drifts on the machine hits both. */
export function pairedRatio(a: readonly number[], b: readonly number[]): Summary {
  if (a.length !== b.length) throw new Error(`${a.length} runs against ${b.length}`);
  return summarise(a.map((value, index) => value / (b[index] ?? Number.NaN)));
}

/** Linear between the two nearest of a sorted list. */
export function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/** Runs the two in turn, A B A B …, after one round that does not count. */
export async function inTurn(
  rounds: number,
  a: () => Promise<number>,
  b: () => Promise<number>,
): Promise<{ readonly a: number[]; readonly b: number[] }> {
  const result = { a: [] as number[], b: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    const first = await a();
    const second = await b();
    if (round < 0) continue;
    result.a.push(first);
    result.b.push(second);
  }
  return result;
}
