import { heartCopies } from "../../../src/heart/copies.ts";
import type { MergeReport } from "../../../src/heart/merge/merge.ts";
import type { Millis } from "../../../src/lib/brand.ts";
import { heartDeps } from "../../../src/platform/heart.ts";
import { must, placeIn } from "./heart-load.ts";

/** As `noctem heart sync` does it: opens the heart in `folder`, takes what the copy has, and closes it again. */
export const mergeInto = (folder: string, sourceFile: string): MergeReport =>
  must(heartCopies(heartDeps(), placeIn(folder), 0 as Millis).merge(sourceFile, { dryRun: false }));
