import type { RowMac } from "./mac.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";

/** A fact about this file, with its key. */
export type MetaFact = readonly [key: string, value: SqlValue];

const putMeta = (facts: number): string =>
  `insert into meta (k, v, mac) values ${Array.from({ length: facts }, () => "(?, ?, ?)").join(", ")}
    on conflict (k) do update set v = excluded.v, mac = excluded.mac`;
/** By the number of facts. */
const PUT = [1, 2, 3, 4].map(putMeta);

/** In one statement. */
export function writeMeta(db: SqlDatabase, mac: RowMac, ...facts: readonly MetaFact[]): void {
  const values: SqlValue[] = [];
  for (const [key, value] of facts) values.push(key, value, mac.seal("meta", [key, value]));
  db.run(PUT[facts.length - 1] ?? putMeta(facts.length), ...values);
}

export function readMeta(db: SqlDatabase, key: string): SqlRow | null {
  return db.get("select v, mac from meta where k = ?", key);
}
