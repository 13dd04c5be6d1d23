/**
 * The known name a person most likely meant, or null when none is near enough to be worth saying. A swap of two
 * neighbours counts as one slip; a name that begins with what was typed always counts as near.
 */
export function nearest(typed: string, known: Iterable<string>): string | null {
  const word = typed.toLowerCase();
  const tolerance = Math.max(1, Math.floor(word.length / 3));
  let best: string | null = null;
  let least = tolerance + 1;
  for (const name of known) {
    const candidate = name.toLowerCase();
    const distance = word.length >= 2 && candidate.startsWith(word) ? 0.5 : slips(word, candidate, tolerance);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

/** Optimal string alignment distance; anything beyond `limit` may come out as any number above it. */
function slips(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const now = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min((last[column] ?? 0) + 1, (now[column - 1] ?? 0) + 1, (last[column - 1] ?? 0) + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) cost = Math.min(cost, (before[column - 2] ?? 0) + 1);
      now.push(cost);
    }
    before = last;
    last = now;
  }
  return last[b.length] ?? limit + 1;
}
