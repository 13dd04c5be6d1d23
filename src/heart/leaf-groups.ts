/**
 * Leaves of the log that are committed together lie in one row, one a line: canonical JSON has no line feed of its own. A row of one leaf, as all of them
 * once were, is a group of one. What a leaf says, where it stands and who signed it is in the leaf and the checkpoint, so that how leaves are grouped says
 * nothing. Rejected: a row for each, which is four entries in four trees for every leaf and more than a bare durable commit costs.
 */
const BORDER = "\n";

/** A row of more than this is nobody's: an invented one must not become a million leaves. */
export const MOST_IN_ROW = { characters: 1 << 20, leaves: 1000 } as const;
/** Characters after which the writer begins another row; a leaf by itself may be longer, and none is so short that there are too many. */
const FULL = 32 << 10;

/** In their order. What is longer than a row may be is no leaf, whatever stands in it. */
export function leavesIn(body: string): readonly string[] {
  if (body.length > MOST_IN_ROW.characters) return [body];
  const leaves = body.split(BORDER, MOST_IN_ROW.leaves + 1);
  return leaves.length > MOST_IN_ROW.leaves ? [body] : leaves;
}

/** What their rows say. */
export function groupLeaves(leaves: readonly string[]): readonly string[] {
  const groups: string[] = [];
  let group = "";
  for (const leaf of leaves) {
    if (group !== "" && group.length + leaf.length > FULL) {
      groups.push(group);
      group = "";
    }
    group += group === "" ? leaf : BORDER + leaf;
  }
  return group === "" ? groups : [...groups, group];
}
