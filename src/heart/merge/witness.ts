import type { SqlDatabase } from "../sql.ts";

/**
 * How far each other replica was when this one last met it: what `heart compact` may prune is what all of them have.
 * Only what moved is written, and nothing depends on it but the time of pruning: a wrong row costs a full merge later, never data.
 */
export function noteWitness(db: SqlDatabase, device: Uint8Array, settled: boolean): void {
  db.run("delete from main.witness where device = ? and actor = ?", device, EVERYTHING);
  const from = settled ? "s.vv sv indexed by vv_hot" : "s.vv sv";
  db.run(
    `insert into main.witness (device, actor, seq)
      select ?1, sv.actor, sv.seq from ${from} left join main.witness w on w.device = ?1 and w.actor = sv.actor
      where ${settled ? "sv.cold is null and" : ""} w.seq is not sv.seq
      on conflict (device, actor) do update set seq = max(witness.seq, excluded.seq)`,
    device,
  );
}

/** No writing session has this number. Its row holds part of the digest up to which the other replica was known to have everything. */
const EVERYTHING = 0;

/** Both have the same. Said once, so that meeting again and again writes nothing and reads no stream. */
export function noteEqual(db: SqlDatabase, device: Uint8Array, digest: Uint8Array): void {
  const part = new DataView(digest.buffer, digest.byteOffset).getUint32(0);
  const known = db.get("select seq from main.witness where device = ? and actor = ?", device, EVERYTHING)?.["seq"];
  if (known === part) return;
  noteWitness(db, device, false);
  db.run("insert into main.witness (device, actor, seq) values (?, ?, ?)", device, EVERYTHING, part);
}
