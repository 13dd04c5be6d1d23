import type { CageLevel } from "../../lib/cage-level.ts";
import type { BarkTier } from "../types.ts";

/** What each tier does, and the least level that it may run under. Tiers 0 and 1 run no program: they read in this process, by rules over paths. */
export const TIER_FLOORS = [
  { tier: 0, what: "reading what the heart holds", floor: "none" },
  { tier: 1, what: "reading files of the workspace", floor: "none" },
  { tier: 2, what: "listed commands, web pages", floor: "namespaces" },
  { tier: 3, what: "other commands, code, changes to files", floor: "namespaces" },
] as const satisfies readonly { readonly tier: BarkTier; readonly what: string; readonly floor: CageLevel }[];

const STRENGTH: Readonly<Record<CageLevel, number>> = { none: 0, landlock: 1, namespaces: 2 };

export const reaches = (level: CageLevel, floor: CageLevel): boolean => STRENGTH[level] >= STRENGTH[floor];
