import type { StickLayout } from "../config/layout.ts";
import { openHeart, type OpenHeart } from "../heart/open.ts";
import type { HeartError } from "../heart/port.ts";
import type { Millis } from "../lib/brand.ts";
import type { Result } from "../lib/result.ts";
import { heartDeps } from "../platform/heart.ts";

/** A day before any build of this version: a clock that says less is wrong. Fixed, so that builds stay byte-identical. */
export const BUILD_DATE = Date.UTC(2026, 10, 1) as Millis;

export const openStickHeart = (layout: StickLayout): Result<OpenHeart, HeartError> =>
  openHeart(heartDeps(), { file: layout.heart, keysDir: layout.keys }, BUILD_DATE);

/** Leaves nothing behind. */
export function openMemoryHeart(): OpenHeart {
  const opened = openHeart(heartDeps(), "memory", BUILD_DATE);
  if (!opened.ok) throw new Error(`a heart in memory failed: ${opened.error.kind}`);
  return opened.value;
}
