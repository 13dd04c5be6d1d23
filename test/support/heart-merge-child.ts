/** `heart-merge-child.ts FOLDER OTHER`: merges OTHER into the heart of FOLDER; says when it begins and when it was acknowledged. */
import { writeSync } from "node:fs";
import { heartCopies } from "../../src/heart/copies.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, placeIn } from "./heart.ts";

const [folder = "", other = ""] = process.argv.slice(2);
const copies = heartCopies(heartDeps(), placeIn(folder), BUILD);
writeSync(1, "begin\n");
must(copies.merge(placeIn(other).file, { dryRun: false }));
writeSync(1, "acknowledged\n");
