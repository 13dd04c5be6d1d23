/** The upper of the two in the middle where their number is even, so that it is always one that was measured; 0 of none. */
export const upperMedian = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
