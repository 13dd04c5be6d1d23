import { leavesIn } from "./leaf-groups.ts";
import { versionOf } from "./schema.ts";
import type { SqlDatabase, SqlRow } from "./sql.ts";
import { ENTRY, LEAF } from "./tables.ts";

/**
 * Leaves of the log in SQL. They lie in `leaf`, and as versions before the third wrote them among the entries: statements come in pairs, the older table
 * first. A row holds several leaves, one a line.
 */
type Pair = readonly [older: string, newer: string];

/** Of a pair, what a heart of this version has. */
export const inVersion = ([older, newer]: Pair, version: number): readonly string[] => (version < LEAF.since ? [older] : [older, newer]);

/** In canonical form a beginning, and nothing else, has its certificate first. In this very form the index knows it. */
const BEGINS = `substr(leaves, 1, 15) = '{"certificate":'`;
export const beginsAnew = (leaf: string): boolean => leaf.startsWith('{"certificate":');

/** By the tables alone, never by an index: a row that an index does not show is there all the same. Columns n, session, actor, leaves. */
export const EVERY_LEAF: Pair = [
  `select e.n as n, e.ref as session, e.actor as actor, b.body as leaves
    from entry e not indexed cross join entry_body b not indexed on b.n = e.n where e.kind = 'audit'`,
  "select n, session, actor, leaves from leaf not indexed where true",
];

export const OF_SESSION: Pair = [`${EVERY_LEAF[0]} and e.ref = ?`, `${EVERY_LEAF[1]} and session = ?`];
export const EVERY_BEGINNING: Pair = [`${EVERY_LEAF[0]} and substr(b.body, 1, 15) = '{"certificate":'`, `${EVERY_LEAF[1]} and ${BEGINS}`];
/** Row numbers above `?`, in each table. An old beginning has the session's own id. */
export const NEWER_BEGINNINGS: Pair = [
  `${EVERY_LEAF[0]} and e.n > ? and e.id = e.ref order by e.n`,
  `${EVERY_LEAF[1]} and n > ? and ${BEGINS} order by n`,
];

/** By the index, for a log that was checked or is our own. */
const BEGINNING: Pair = [
  "select b.body as leaves from entry e join entry_body b on b.n = e.n where e.id = ? and e.id = e.ref and e.kind = 'audit'",
  `select leaves from leaf indexed by leaf_beginning where session = ? and ${BEGINS} order by n limit 1`,
];
/** Of one writing session: in the older table that of the session's register (parameters: its id in hex, its id), in the newer that of its beginning. */
const LEAVES: Pair = [
  `select b.body as leaves from cell c cross join entry e indexed by ${ENTRY.dot} on e.actor = c.actor cross join entry_body b on b.n = e.n
    where c.ns = 'audit' and c.k = ? and e.kind = 'audit' and e.ref = ? order by e.seq`,
  `select l.leaves as leaves from leaf l indexed by ${LEAF.dot}
    where l.actor = (select actor from leaf indexed by leaf_beginning where session = ?1 and ${BEGINS} order by n limit 1)
      and l.session = ?1 order by l.seq`,
];

/** The newest by their stamps. */
export const RECENT: Pair = [
  `select e.ref as session, e.actor as actor, e.hlc as hlc, b.body as leaves from entry e indexed by entry_kind cross join entry_body b on b.n = e.n
    where e.kind = 'audit' order by e.hlc desc, e.id desc limit ?`,
  "select session, actor, hlc, leaves from leaf indexed by leaf_hlc where true order by hlc desc, n desc limit ?",
];

export const leavesOf = ({ leaves }: SqlRow): readonly string[] => (typeof leaves === "string" ? leavesIn(leaves) : []);

/** The first leaf of a session, and all of them, by the indexes. `session`: 16 bytes in hex. A session that began in the older table is read there. */
export function beginningOf(db: SqlDatabase, session: string): string | null {
  for (const sql of inVersion(BEGINNING, versionOf(db))) {
    const [beginning] = db.all(sql, Uint8Array.fromHex(session)).flatMap(leavesOf);
    if (beginning !== undefined) return beginning;
  }
  return null;
}

export function leavesUnder(db: SqlDatabase, session: string): readonly string[] {
  const id = Uint8Array.fromHex(session);
  const isOld = versionOf(db) < LEAF.since || db.get(BEGINNING[0], id) !== null;
  const found = isOld ? [] : db.all(LEAVES[1], id);
  // The oldest of all beginnings had ids of another form.
  return (found.length > 0 ? found : db.all(LEAVES[0], session, id)).flatMap(leavesOf);
}
