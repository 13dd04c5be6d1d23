/**
 * One piece of care for a heart, in a process that tests may kill: `heart-care-child.ts JOB FOLDER DEST`. Prints "begin", then what came
 * of it: "ok", or the kind of the error.
 */
import { join } from "node:path";
import { backupHeart, scrubBackups } from "../../src/heart/care/backup.ts";
import { forkHeart } from "../../src/heart/care/fork.ts";
import { repairHeart } from "../../src/heart/care/repair.ts";
import { restoreHeart } from "../../src/heart/care/restore.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { placeIn } from "./heart.ts";

const [job = "", folder = "", dest = ""] = process.argv.slice(2);
const deps = heartDeps();
const place = placeIn(folder);
const jobs = {
  backup: () => backupHeart(deps, place, dest),
  repair: () => repairHeart(deps, place, dest),
  fork: () => forkHeart(deps, place, placeIn(dest)),
  restore: () => restoreHeart(deps, place, dest, join(folder, "backups", "before.sqlite")),
  scrub: () => scrubBackups(deps, place, dest),
} as const;

process.stdout.write("begin\n");
const result = jobs[job as keyof typeof jobs]();
process.stdout.write(result.ok ? "ok\n" : `${result.error.kind}\n`);
