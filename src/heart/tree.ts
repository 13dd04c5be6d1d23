/**
 * The tree of takes in a conversation, without any text. Pure.
 *
 * Nodes may come from a damaged or half-merged file: a parent may be missing, and links may run in a circle. Every walk here
 * ends all the same.
 */
export interface TreeNode {
  readonly id: string;
  readonly parent: string | null;
  readonly hlc: number;
}

export interface Tree<N extends TreeNode> {
  /** All nodes, oldest first. */
  readonly nodes: readonly N[];
  readonly byId: ReadonlyMap<string, N>;
  /** Children of a node, or the first messages under `null`; oldest first. */
  readonly children: ReadonlyMap<string | null, readonly N[]>;
}

export function growTree<N extends TreeNode>(unordered: readonly N[]): Tree<N> {
  const nodes = [...unordered].sort(byAge);
  const byId = new Map<string, N>();
  const children = new Map<string | null, N[]>();
  for (const node of nodes) {
    byId.set(node.id, node);
    const siblings = children.get(node.parent);
    if (siblings === undefined) children.set(node.parent, [node]);
    else siblings.push(node);
  }
  return { nodes, byId, children };
}

/** The youngest leaf at or below `from`; `null` when there is no such node. */
export function newestLeafBelow<N extends TreeNode>(tree: Tree<N>, from: string): N | null {
  const start = tree.byId.get(from);
  if (start === undefined) return null;
  const seen = new Set<string>([from]);
  const open: N[] = [start];
  let newest: N | null = null;
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    let leaf = true;
    for (const child of tree.children.get(node.id) ?? []) {
      leaf = false;
      if (seen.has(child.id)) continue;
      seen.add(child.id);
      open.push(child);
    }
    if (leaf && (newest === null || byAge(newest, node) < 0)) newest = node;
  }
  // No leaf at all: the links run in a circle. The node itself will then do as the end.
  return newest ?? start;
}

/** From the first message to `leaf`. */
export function pathTo<N extends TreeNode>(tree: Tree<N>, leaf: N): readonly N[] {
  const path: N[] = [];
  const seen = new Set<string>();
  for (let node: N | undefined = leaf; node !== undefined && !seen.has(node.id);) {
    seen.add(node.id);
    path.push(node);
    node = node.parent === null ? undefined : tree.byId.get(node.parent);
  }
  return path.toReversed();
}

/** By stamp; ids break ties, so that every replica orders alike. */
const byAge = (a: TreeNode, b: TreeNode): number => a.hlc - b.hlc || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
