/**
 * The files that a cage is made of. This is what the sources see: the helper that the build left in `build/`. In the executable the build replaces this module by
 * one that names the embedded helper (scripts/build.ts).
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

const path = join(import.meta.dir, `../../../build/helper/helper-${process.arch}`);

/** A path that can be read, in the executable one inside it; null where the build had no compiler. */
export const helperFile: string | null = existsSync(path) ? path : null;
