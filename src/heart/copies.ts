import type { Millis } from "../lib/brand.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { dismissConflict, listConflicts, restoreConflict, type Conflict } from "./conflicts.ts";
import { heartIncidents, type HeartIncidents } from "./incidents.ts";
import { merge, type MergeReport } from "./merge/merge.ts";
import { refuseFile } from "./merge/source.ts";
import { withStoredHeart, type StoredHeart, type StoredPlace } from "./open.ts";
import type { HeartError } from "./port.ts";
import type { HeartDeps } from "./ports.ts";
import { compactHeart, heartStatus, retireReplica, type Compaction, type HeartStatus, type Replica } from "./replicas.ts";
import { unindex } from "./search.ts";
import { rebuildTaskOverview } from "./tasks.ts";
import { typedStore } from "./typed-store.ts";
import { WritingSession } from "./writer.ts";

/**
 * What a person does with copies of a heart. Each opens a connection of its own and closes it again, so that it works beside an open
 * chat too. None of them makes a heart or falls back to memory.
 */
export interface HeartCopies {
  /**
   * Takes into this heart what the copy `sourceFile` has and it lacks. The copy is only read. With `dryRun` nothing stays.
   *
   * `foreign`, `damaged`, `outdated`, `unfinished`, `unreadable` and `io` that name the copy leave this heart as it was, but for an
   * incident where the copy was found altered.
   */
  merge(sourceFile: string, options: { readonly dryRun: boolean }): Result<MergeReport, HeartError>;
  status(): Result<HeartStatus, HeartError>;
  conflicts(): Result<readonly Conflict[], HeartError>;
  restore(conflict: string): Result<Conflict, HeartError>;
  dismiss(conflict: string): Result<Conflict, HeartError>;
  retire(replica: string): Result<Replica, HeartError>;
  compact(): Result<Compaction, HeartError>;
}

export function heartCopies(deps: HeartDeps, place: StoredPlace, buildDate: Millis): HeartCopies {
  const { file } = place;
  const stored = <T>(work: (heart: StoredHeart) => Result<T, HeartError>): Result<T, HeartError> => withStoredHeart(deps, place, work);
  const writing = ({ db, mac }: StoredHeart): WritingSession => {
    const { clock, random, writer } = deps;
    return new WritingSession(db, { file, mac, clock, random, buildDate, writer });
  };
  const incidentsOf = (heart: StoredHeart): HeartIncidents => {
    const { crypto, random } = deps;
    return heartIncidents(typedStore({ db: heart.db, mac: heart.mac, crypto, random, file, writing: writing(heart) }));
  };
  return {
    merge(sourceFile, { dryRun }) {
      const refusal = refuseFile(sourceFile, deps.files.inspect(sourceFile), deps.files.inspect(`${sourceFile}-journal`));
      if (refusal !== null) return err(refusal);
      if (deps.files.isSame(file, sourceFile)) return err({ kind: "same-file", path: sourceFile });
      return stored((heart) => {
        const { db, mac } = heart;
        const hooks = {
          unindex: (table: "message" | "entry", rows: readonly number[]) => {
            if (table === "message") unindex(db, rows);
          },
          tasksChanged: (query: string) => rebuildTaskOverview(db, query),
        };
        const merged = merge({ db, mac, crypto: deps.crypto, file, now: deps.clock.now(), ...hooks }, sourceFile, dryRun);
        if (!merged.ok && merged.error.kind === "damaged" && merged.error.path === sourceFile && !dryRun) {
          // If the incident cannot be kept either, the refusal itself still reaches the person.
          incidentsOf(heart).count("merge.refused", 3, merged.error.detail);
        }
        return merged;
      });
    },
    status: () => stored(({ db, mac, id }) => ok(heartStatus(db, mac, id, deps.clock.now()))),
    conflicts: () => stored(({ db, mac }) => ok(listConflicts(db, mac))),
    restore: (conflict) => stored((heart) => restoreConflict(heart.db, heart.mac, writing(heart), conflict)),
    dismiss: (conflict) => stored(({ db, mac }) => dismissConflict(db, mac, conflict)),
    retire: (replica) => stored((heart) => retireReplica(heart.db, heart.mac, writing(heart), replica)),
    compact: () => stored(({ db, mac }) => ok(compactHeart(db, mac, file))),
  };
}
