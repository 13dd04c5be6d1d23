import type { SqlDatabase } from "../sql.ts";

/**
 * How far each other replica was when this one last met it: what `heart compact` may prune is what all of them have.
 * Only what moved is written, and nothing depends on it but the time of pruning: a wrong row costs a full merge later, never data.
 */
export function noteWitness(db: SqlDatabase, device: Uint8Array, settled: boolean): void {
  const from = settled ? "s.vv sv indexed by vv_hot" : "s.vv sv";
  db.run(
    `insert into main.witness (device, actor, seq)
      select ?1, sv.actor, sv.seq from ${from} left join main.witness w on w.device = ?1 and w.actor = sv.actor
      where ${settled ? "sv.cold is null and" : ""} w.seq is not sv.seq
      on conflict (device, actor) do update set seq = max(witness.seq, excluded.seq)`,
    device,
  );
}
