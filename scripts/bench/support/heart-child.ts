/**
 * `bun heart-child.ts CONTESTANT EDITS`: one contestant's merge in a process of its own, so that its memory is nobody else's. Prints one
 * line of JSON (heart-peers.ts parses it).
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CONTESTANTS, type Name } from "./heart-contestants.ts";
import { addWins, editsOf } from "./heart-ops.ts";

const [name, count] = process.argv.slice(2);
const edits = Number(count);
if (name === undefined || !(name in CONTESTANTS) || !Number.isInteger(edits))
  throw new Error(`not a contestant: ${process.argv.join(" ")}`);
const folder = mkdtempSync(join(tmpdir(), "noctem-bench-"));
try {
  const baseMb = peakMb();
  using contestant = await CONTESTANTS[name as Name](folder, edits);
  let editMs = 0;
  // In turn, so that neither's writes are all newer than the other's. Only A's are timed.
  const theirs = editsOf(1, edits);
  for (const group of editsOf(0, edits)) {
    editMs += elapsed(() => contestant.edit(0, group));
    contestant.edit(1, theirs.next().value ?? []);
  }
  contestant.settle();
  const intoA = elapsed(() => contestant.merge(0));
  const intoB = elapsed(() => contestant.merge(1));
  // Before the results are looked at, which needs memory too.
  const mb = peakMb();
  const [a, b] = [contestant.contents(0), contestant.contents(1)];
  const wins = addWins(edits);
  const kept = [...wins].filter((at) => a.elements.has(at)).length;
  console.log(JSON.stringify({ editMs, intoA, intoB, mb, baseMb, kept, wins: wins.size, converged: a.digest === b.digest }));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function elapsed(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

/** The most memory that this process had resident, in MB. Not `maxRSS`: Linux begins that with what the parent had when it forked. */
function peakMb(): number {
  const kib = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return (Number(kib) * 1024) / 1e6;
}
