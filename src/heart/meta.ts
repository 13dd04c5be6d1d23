import type { RowMac } from "./mac.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";

/** A fact about this file, with its key. */
export type MetaFact = readonly [key: string, value: SqlValue];

const putMeta = (facts: number): string =>
  `insert into meta (k, v, mac) values ${Array.from({ length: facts }, () => "(?, ?, ?)").join(", ")}
    on conflict (k) do update set v = excluded.v, mac = excluded.mac`;
/** Most commits write two. */
const [PUT_ONE, PUT_TWO] = [putMeta(1), putMeta(2)];

/** In one statement. */
export function writeMeta(db: SqlDatabase, mac: RowMac, ...facts: readonly MetaFact[]): void {
  db.run(
    facts.length === 1 ? PUT_ONE : facts.length === 2 ? PUT_TWO : putMeta(facts.length),
    ...facts.flatMap(([key, value]) => [key, value, mac.seal("meta", [key, value])]),
  );
}

export function readMeta(db: SqlDatabase, key: string): SqlRow | null {
  return db.get("select v, mac from meta where k = ?", key);
}
