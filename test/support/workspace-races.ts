/** Races of the host's hand in a workspace with a process that swaps folders for links. Whoever calls judges by what lies outside. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Change } from "../../src/bark/workspace/types.ts";
import { workspaceSteps } from "../../src/platform/workspace/apply.ts";
import { pendingStore } from "../../src/platform/workspace/pending.ts";
import { changesOf } from "../../src/platform/workspace/view.ts";
import { swapping } from "./swapper.ts";

const sha = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

export interface Raced {
  /** Swaps that were made meanwhile. */
  readonly swaps: number;
  /** What was written, or found, in all rounds. */
  readonly done: number;
  /** Texts that were seen, where something is read. */
  readonly seen: ReadonlySet<string>;
}

/** A workspace `w` with a folder `d` in `folder`, beside `outside` with a file `canary`. */
export function raceGround(folder: string): { readonly workspace: string; readonly outside: string } {
  const [workspace, outside] = [join(folder, "w"), join(folder, "outside")];
  for (const at of [join(workspace, "d"), outside]) mkdirSync(at, { recursive: true });
  writeFileSync(join(workspace, "d/x"), "1");
  writeFileSync(join(outside, "canary"), "safe");
  return { workspace, outside };
}

/** Applies changes in the swapped folder, straight or by way of what waits. */
export async function raceApply(folder: string, rounds: number, byWaiting: boolean): Promise<Raced> {
  const { workspace, outside } = raceGround(folder);
  let name = 0;
  const next = (): string => String(++name).padStart(9, "0");
  const steps = workspaceSteps(join(folder, "steps"), () => 1, next);
  const pending = pendingStore(join(folder, "pending"), () => 1, next);
  const source = join(folder, "source");
  await using swapper = swapping(workspace, "d", outside);
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    const text = `mine ${round}`;
    writeFileSync(source, text);
    const content = { file: source, bytes: text.length, sha256: sha(text) };
    const write = (path: string): Change => ({ kind: "write", path, content, executable: false, before: { kind: "nothing" } });
    let changes: readonly Change[] = [write("d/canary"), write(`d/new${round}`)];
    if (byWaiting) {
      const kept = pending.keep(
        workspace,
        changes.map((change) => ({ change, rule: "test", reason: "test" })),
      );
      if (!kept.ok) throw new Error(kept.error);
      changes = kept.value.changes.map(({ change }) => change);
      const applied = await steps.apply(workspace, changes, "race");
      pending.discard(kept.value.id);
      if (applied.ok) done += applied.value.applied.length;
      continue;
    }
    const applied = await steps.apply(workspace, changes, "race");
    if (applied.ok) done += applied.value.applied.length;
  }
  return { swaps: swapper.count(), done, seen: new Set() };
}

/** Walks a difference whose lower folder is swapped meanwhile: what it says about the past must never be read outside. */
export async function raceWalk(folder: string, rounds: number): Promise<Raced> {
  const { workspace, outside } = raceGround(folder);
  const view = mkdtempSync(join(folder, "view-"));
  const [upper, merged] = [join(view, "upper"), join(view, "merged")];
  for (const at of [upper, merged]) mkdirSync(join(at, "d"), { recursive: true });
  for (const at of [upper, merged]) writeFileSync(join(at, "d/canary"), "new");
  await using swapper = swapping(workspace, "d", outside);
  const seen = new Set<string>();
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    const { changes } = changesOf({ upper, merged, lower: workspace, since: Number.MAX_SAFE_INTEGER });
    for (const { before } of changes) if (before.kind === "file") seen.add(before.sha256);
    done += changes.length;
    if (round % 100 === 0) await Bun.sleep(0);
  }
  rmSync(view, { recursive: true });
  return { swaps: swapper.count(), done, seen };
}

export const CANARY = sha("safe");
