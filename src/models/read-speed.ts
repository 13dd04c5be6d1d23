import type { Installed } from "./inventory.ts";
import type { ModelFiles } from "./ports.ts";
import type { Pace } from "./transfer.ts";

/** Places looked at, and bytes read at each. */
const PLACES = 6;
const STRETCH = 4 << 20;
/** Bytes per second. Faster is memory, not a stick: the page cache had it. */
const FROM_MEMORY = 1.5e9;
/** Stretches that have to come from the medium for a figure to mean anything. */
const ENOUGH = 3;

/**
 * How fast the medium under a model is read, in bytes per second; null where the page cache answers, because then nothing is
 * learnt about the medium. Spread over the file: what was loaded lately is in memory in parts.
 */
export async function measureReadSpeed(
  model: Installed,
  deps: { readonly files: ModelFiles; readonly pace: Pace },
): Promise<number | null> {
  const { path, size } = largest(model);
  if (size < PLACES * STRETCH) return null;
  let bytes = 0;
  let ms = 0;
  let stretches = 0;
  for (let place = 0; place < PLACES; place++) {
    const before = deps.pace.monotonic();
    const read = await deps.files.read(path, Math.floor(((size - STRETCH) * (place + 0.5)) / PLACES), STRETCH);
    const took = Math.max(deps.pace.monotonic() - before, 0.001);
    if (!read.ok) return null;
    if ((read.value.length / took) * 1000 > FROM_MEMORY) continue;
    bytes += read.value.length;
    ms += took;
    stretches++;
  }
  return stretches >= ENOUGH ? Math.round((bytes / ms) * 1000) : null;
}

const largest = ({ files }: Installed): { readonly path: string; readonly size: number } =>
  files.reduce((best, file) => (file.size > best.size ? file : best), { path: "", size: 0 });
