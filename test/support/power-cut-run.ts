import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { must, openIn, placeIn, talk } from "./heart.ts";
import { PowerCut, readTrace, STRACE, type Step } from "./power-cut.ts";
import { unsynced } from "./unsynced.ts";

const CHILD = join(import.meta.dir, "heart-power-child.ts");

/** Whether processes may be traced here. */
export const canTrace = ((): boolean => {
  if (Bun.which("strace") === null) return false;
  return Bun.spawnSync(["strace", "-o", "/dev/null", "-e", "trace=none", "true"], { stdio: ["ignore", "ignore", "ignore"] }).exitCode === 0;
})();

/** Traces a child that writes and merges in `folder`. Returns the heart's file before, and the steps. */
export function traceWork(folder: string, messages: number): { readonly before: Uint8Array; readonly steps: readonly Step[] } {
  const [own, other] = [join(folder, "own"), join(folder, "other")];
  mkdirSync(own, { recursive: true });
  {
    using heart = openIn(own);
    talk(heart, "before everything", "and after");
  }
  cpSync(own, other, { recursive: true });
  {
    using heart = openIn(other);
    for (let i = 0; i < 12; i++) talk(heart, `from the other ${i}`, "y".repeat(i * 700));
    must(heart.tasks.add({ title: "from the other" }));
  }
  const before = new Uint8Array(readFileSync(placeIn(own).file));
  const trace = join(folder, "trace");
  const child = Bun.spawnSync(["strace", ...STRACE, "-o", trace, process.execPath, CHILD, own, other, String(messages)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.exitCode !== 0) throw new Error(child.stderr.toString().slice(-2000));
  return { before, steps: readTrace(trace, own) };
}

/** Opens an image as the next start would, and says what is wrong; empty when it is sound. */
export function faultsOf(
  folder: string,
  keys: string,
  image: ReadonlyMap<string, Uint8Array>,
  acknowledged: readonly string[],
): readonly string[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(keys, placeIn(folder).keysDir, { recursive: true });
  for (const [name, bytes] of image) writeFileSync(join(folder, name), bytes);
  const faults: string[] = [];
  {
    using heart = openIn(folder, { sql: unsynced });
    const stored = new Map(
      heart
        .sessions(999)
        .flatMap(({ id }) => heart.messages(id))
        .map((message) => [message.id as string, message]),
    );
    for (const what of acknowledged) {
      if (what === "merge") {
        if (heart.tasks.all().length === 0) faults.push("the merge is lost");
      } else if (what.startsWith("forget ")) {
        const message = stored.get(what.slice(7));
        if (message !== undefined && !message.redacted) faults.push(`${what}: it stands there`);
      } else if (!stored.has(what) && !acknowledged.includes(`forget ${what}`)) faults.push(`${what} is lost`);
    }
  }
  const report = must(verifyHeart(heartDeps({ sql: unsynced }), placeIn(folder)));
  return [...faults, ...report.faults.map((fault) => fault.detail)];
}

/** Tries up to `each` images after every step. Returns how many different ones were tried, and the first that is not sound. */
export function cutEverywhere(
  folder: string,
  messages: number,
  each: number,
  random: () => number,
): { readonly images: number; readonly fault: string | null } {
  const { before, steps } = traceWork(folder, messages);
  const cut = new PowerCut(new Map([["heart.sqlite", before]]));
  const acknowledged: string[] = [];
  let images = 0;
  const seen = new Set<string>();
  for (const [i, step] of steps.entries()) {
    cut.apply(step);
    if (step.kind === "acknowledge") acknowledged.push(step.what);
    for (let n = 0; n < each; n++) {
      const image = cut.image(random);
      const key = [acknowledged.length, ...[...image].map(([name, bytes]) => `${name} ${Bun.hash(bytes)}`)].join();
      if (seen.has(key)) continue;
      seen.add(key);
      images++;
      const faults = faultsOf(join(folder, "image"), placeIn(join(folder, "own")).keysDir, image, acknowledged);
      if (faults.length > 0) return { images, fault: `after step ${i} (${step.kind}): ${faults.join("; ")}` };
    }
  }
  return { images, fault: null };
}
