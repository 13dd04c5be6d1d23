import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn } from "./heart.ts";
import { divergedPair, killMerge, timeMerge } from "./heart-kill.ts";

export interface KilledMerges {
  /** Merges of which nothing stayed, and of which all did. */
  readonly before: number;
  readonly after: number;
  /** The first thing that is wrong; null when nothing is. */
  readonly fault: string | null;
}

/** Kills `kills` merges at random moments, each on a fresh copy. */
export async function killMerges(folder: string, kills: number, random: () => number): Promise<KilledMerges> {
  const { own, other, messages } = divergedPair(folder);
  let span = await timeOf(folder, own, other);
  const seen = { before: 0, after: 0 };
  const work = join(folder, "work");
  for (let i = 0; i < kills; i++) {
    rmSync(work, { recursive: true, force: true });
    cpSync(own, work, { recursive: true });
    const acknowledged = await killMerge(work, other, random, span);
    const said = countIn(work);
    if (said !== messages && said !== 2 * messages) return { ...seen, fault: `kill ${i}: ${said} messages, half of a merge` };
    if (said === messages && acknowledged) return { ...seen, fault: `kill ${i}: an acknowledged merge is lost` };
    const report = must(verifyHeart(heartDeps(), placeIn(work)));
    if (report.count > 0) return { ...seen, fault: `kill ${i}: ${report.faults[0]?.detail ?? ""}` };
    if (said === messages) seen.before++;
    else seen.after++;
    // One measurement on a busy machine may be far off; kills have to fall on both sides of the commit.
    span *= said === messages ? 1.1 : 1 / 1.1;
    must(heartCopies(heartDeps(), placeIn(work), BUILD).merge(placeIn(other).file, { dryRun: false }));
    if (countIn(work) !== 2 * messages) return { ...seen, fault: `kill ${i}: merging again does not complete it` };
  }
  return { ...seen, fault: null };
}

/** Through the heart, which takes back what was half done. */
function countIn(folder: string): number {
  using heart = openIn(folder);
  return heart.sessions(999).reduce((sum, session) => sum + session.messages, 0);
}

/** Milliseconds that a child's merge takes here, so that kills fall into it. */
async function timeOf(folder: string, own: string, other: string): Promise<number> {
  const trial = join(folder, "trial");
  cpSync(own, trial, { recursive: true });
  return (await timeMerge(trial, other)) * 1.2;
}
