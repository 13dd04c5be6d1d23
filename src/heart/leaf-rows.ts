import { ENTRY, LEAF } from "./tables.ts";

/** Leaves of the log in SQL: rows of `leaf`, and of `entry` as versions before the third wrote them, each in a table of its own. Bodies hold several, one a line. */

/** In canonical form a beginning, and nothing else, has its certificate first. In this very form the index knows it. */
const BEGINS = `substr(leaves, 1, 15) = '{"certificate":'`;
export const beginsAnew = (leaf: string): boolean => leaf.startsWith('{"certificate":');

/** By the tables alone, never by an index: a row that an index does not show is there all the same. Columns n, session, actor, leaves. */
export const EVERY_LEAF = [
  `select e.n as n, e.ref as session, e.actor as actor, b.body as leaves
    from entry e not indexed cross join entry_body b not indexed on b.n = e.n where e.kind = 'audit'`,
  "select n, session, actor, leaves from leaf not indexed where true",
] as const;

export const OF_SESSION = [`${EVERY_LEAF[0]} and e.ref = ?`, `${EVERY_LEAF[1]} and session = ?`] as const;
export const EVERY_BEGINNING = [
  `${EVERY_LEAF[0]} and substr(b.body, 1, 15) = '{"certificate":'`,
  `${EVERY_LEAF[1]} and ${BEGINS}`,
] as const;
/** Row numbers above `?`, in each table. An old beginning has the session's own id. */
export const NEWER_BEGINNINGS = [
  `${EVERY_LEAF[0]} and e.n > ? and e.id = e.ref order by e.n`,
  `${EVERY_LEAF[1]} and n > ? and ${BEGINS} order by n`,
] as const;

/** By the index, for a log that was checked or is our own. */
export const BEGINNING = [
  "select b.body as leaves from entry e join entry_body b on b.n = e.n where e.id = ? and e.id = e.ref and e.kind = 'audit'",
  `select leaves from leaf indexed by leaf_beginning where session = ? and ${BEGINS} order by n limit 1`,
] as const;

/** A session's leaves are of one writing session: that of its beginning, or of its checkpoint's register (`?`: the session as a key, then as an id). */
export const LEAVES = [
  `select b.body as leaves from cell c cross join entry e indexed by ${ENTRY.dot} on e.actor = c.actor cross join entry_body b on b.n = e.n
    where c.ns = 'audit' and c.k = ? and e.kind = 'audit' and e.ref = ? order by e.seq`,
  `select l.leaves as leaves from leaf l indexed by ${LEAF.dot}
    where l.actor = (select actor from leaf indexed by leaf_beginning where session = ?1 and ${BEGINS} order by n limit 1) and l.session = ?1 order by l.seq`,
] as const;

/** The newest by their stamps. */
export const RECENT = [
  `select e.ref as session, e.actor as actor, e.hlc as hlc, b.body as leaves from entry e indexed by entry_kind cross join entry_body b on b.n = e.n
    where e.kind = 'audit' order by e.hlc desc, e.id desc limit ?`,
  "select session, actor, hlc, leaves from leaf indexed by leaf_hlc where true order by hlc desc, n desc limit ?",
] as const;
