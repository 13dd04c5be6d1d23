/**
 * The merged tables, as data: what a merge, a verification, a repair and an export have to know of each.
 *
 * `columns` are those that are merged and sealed, in the order of the table; all but `mac` and local row numbers. Every table has
 * the dot (actor, seq) and the unique index `dot` on it.
 */
export interface MergedTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly dot: string;
  readonly merge: MergeRule;
  /** The version of the heart that brought it. */
  readonly since: number;
}

export type MergeRule =
  /** A set that only grows. `key` names an element; `body` the local table that holds what it says, by local row number. */
  | { readonly kind: "grow"; readonly key: readonly string[]; readonly body: string | null }
  /** One row a key; the greater by `order` stays. */
  | { readonly kind: "register"; readonly key: readonly string[]; readonly order: readonly string[] };

const LABEL = ["label_c", "label_k", "label_i", "label_p"] as const;
const BY_SEQ = ["seq"] as const;

/** Merges began with it. */
const FIRST = 2;

const register = (name: string, key: readonly string[], columns: readonly string[], order: readonly string[] = BY_SEQ): MergedTable => ({
  name,
  columns,
  dot: `${name}_dot`,
  merge: { kind: "register", key, order },
  since: FIRST,
});

const grow = (
  name: string,
  key: readonly string[],
  columns: readonly string[],
  { body = null, since = FIRST }: { readonly body?: string | null; readonly since?: number } = {},
): MergedTable => ({
  name,
  columns,
  dot: `${name}_dot`,
  merge: { kind: "grow", key, body },
  since,
});

export const ACTOR = register("actor", ["actor"], ["actor", "seq", "hlc", "device", "label", "host", "clock"]);
export const REDACTION = grow("redaction", ["target", "actor", "seq"], ["target", "hlc", "actor", "seq"]);
export const MESSAGE = grow(
  "message",
  ["id"],
  ["id", "session", "parent", "hlc", "actor", "seq", "role", "origin", ...LABEL, "reply", "body_hash"],
  { body: "message_body" },
);
export const ENTRY = grow("entry", ["id"], ["id", "kind", "ref", "hlc", "actor", "seq", ...LABEL, "body_hash"], { body: "entry_body" });
/** Its key is its dot: two rows never stand for one thing. */
export const LEAF = grow("leaf", ["actor", "seq"], ["session", "hlc", "actor", "seq", "leaves"], { since: 3 });
/** The value comes last, so that even two writes with one dot end alike everywhere. */
export const CELL = register("cell", ["ns", "k"], ["ns", "k", "v", "hlc", "actor", "seq", ...LABEL], ["hlc", "actor", "seq", "v"]);
export const TASK_REMOVE = register("task_remove", ["elem", "dot_actor", "actor"], ["elem", "dot_actor", "dot_seq", "hlc", "actor", "seq"]);
export const TASK_DOT = register("task_dot", ["elem", "actor"], ["elem", "actor", "seq", "hlc"]);
export const INCIDENT = register("incident", ["kind", "severity", "actor"], ["kind", "severity", "count", "hlc", "actor", "seq"]);

/** In the order in which a merge takes them: what forbids comes before what it forbids. */
export const MERGED: readonly MergedTable[] = [ACTOR, REDACTION, MESSAGE, ENTRY, LEAF, CELL, TASK_REMOVE, TASK_DOT, INCIDENT];

/** Those that a heart of this version has, from the second on; the first merged nothing. */
export const mergedAt = (version: number): readonly MergedTable[] => MERGED.filter(({ since }) => since <= version);

/** Namespaces of `cell`. */
export const Namespace = {
  LEAF: "leaf",
  TASK: "task",
  MEMORY: "memory",
  INCIDENT: "incident",
  STATE: "state",
  REPLICA: "replica",
  AUDIT: "audit",
} as const;
export type Namespace = (typeof Namespace)[keyof typeof Namespace];
