import { err, type Result } from "../lib/result.ts";
import { merge, type MergeReport } from "./merge/merge.ts";
import { refuseFile } from "./merge/source.ts";
import { withStoredHeart, type StoredPlace } from "./open.ts";
import type { HeartError } from "./port.ts";
import type { HeartDeps } from "./ports.ts";

/**
 * Takes into the heart at `place` what the copy `sourceFile` has and it lacks. The copy is only read.
 *
 * `foreign`, `damaged`, `outdated`, `unfinished`, `unreadable` and `io` that name the copy leave this heart as it was.
 */
export function mergeHeart(
  deps: HeartDeps,
  place: StoredPlace,
  sourceFile: string,
  options: { readonly dryRun: boolean },
): Result<MergeReport, HeartError> {
  const refusal = refuseFile(sourceFile, deps.files.inspect(sourceFile), deps.files.inspect(`${sourceFile}-journal`));
  if (refusal !== null) return err(refusal);
  if (deps.files.isSame(place.file, sourceFile)) return err({ kind: "same-file", path: sourceFile });
  return withStoredHeart(deps, place, ({ db, mac }) =>
    merge(
      {
        db,
        mac,
        crypto: deps.crypto,
        file: place.file,
        now: deps.clock.now(),
        unindex: () => undefined,
        tasksChanged: () => undefined,
      },
      sourceFile,
      options.dryRun,
    ),
  );
}
