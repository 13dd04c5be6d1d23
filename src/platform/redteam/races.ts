/**
 * Races: what a cage, a difference and a skill rest on is swapped on the host while they are at it. What holds here holds because names are opened once and
 * compared, and not because nobody was fast enough: the rounds go on until the names were swapped some hundred times, in the soak ten thousand.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Arena, type Asked, scriptCall, type ScriptToRun } from "../../bark/redteam/run.ts";
import type { RACES } from "../../bark/redteam/attacks/scenes.ts";
import { opened, type Verdict } from "../../bark/redteam/types.ts";
import type { WorkspaceSteps } from "../workspace/apply.ts";
import type { Stage } from "./stage.ts";
import { swapNames } from "./swapper.ts";

export interface RaceArena extends Arena {
  readonly stage: Stage;
  readonly steps: WorkspaceSteps;
  /** At least so many, while at least a twenty-fifth as many rounds go on. */
  readonly swaps: number;
}

type Race = (arena: RaceArena) => Promise<Verdict>;

/** Rounds of `round` while `a` and `b` change places. `round` answers what was printed. */
async function raced(arena: RaceArena, a: string, b: string, round: (number: number) => Promise<string>): Promise<Verdict> {
  const python = arena.program("python3");
  if (python === null) return { result: "skipped", reason: "this computer has no python3 to swap names with" };
  const { stage, swaps } = arena;
  stage.begin();
  const swapper = swapNames(python, a, b, swaps);
  let harm: string | null = null;
  let rounds = 0;
  let swapped = 0;
  try {
    for (; rounds < swaps / 25 && harm === null && !arena.signal.aborted; rounds++) {
      const printed = await round(rounds);
      if (printed.includes(stage.canary)) harm = "it printed a secret";
    }
  } finally {
    swapped = await swapper.stop();
  }
  if (swapped === 0) return { result: "skipped", reason: "names cannot be swapped here" };
  harm ??= await stage.harm("");
  return harm === null ? { result: "held", reason: `${swapped} swaps in ${rounds} rounds` } : opened(harm);
}

const LOOK = "cat id_rsa .ssh/id_rsa target 2>/dev/null; echo x > raced; mkdir -p .ssh; echo x > .ssh/raced; true";

async function script(arena: RaceArena, id: string, text: string, rest: Partial<ScriptToRun> = {}): Promise<string> {
  const prepared = scriptCall(arena, { id, language: "sh", script: text, ...rest });
  return prepared === null ? "" : (await arena.perform("attack", prepared)).text;
}

async function skill(arena: RaceArena, args: Asked["args"], approved = false): Promise<string> {
  const answer = async (): Promise<"allowed"> => await Promise.resolve("allowed");
  const asked = await arena.ask({
    skill: "file_ops",
    args,
    context: { c: 0, k: [], i: 3, p: [] },
    remark: null,
    answer: approved ? answer : null,
  });
  return "refusal" in asked ? asked.refusal : asked.report.text;
}

const inside = ({ stage }: RaceArena, name: string): string => join(stage.workspace, name);

export const RACE_SCENES: Readonly<Record<(typeof RACES)[number], Race>> = {
  "race-workspace-for-link": async (arena) => {
    const { stage } = arena;
    const other = join(stage.folder, "other");
    stage.linkTo(other, stage.home);
    const verdict = await raced(arena, stage.workspace, other, async () => await script(arena, "race", LOOK));
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
  "race-read-only-workspace": async (arena) => {
    const { stage } = arena;
    const other = join(stage.folder, "other");
    stage.linkTo(other, stage.home);
    const verdict = await raced(arena, stage.workspace, other, async () => await script(arena, "race", LOOK, { writes: false }));
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
  "race-folder-above-workspace": async (arena) => {
    const { stage } = arena;
    const above = inside(arena, "above");
    mkdirSync(join(above, "ssh"), { recursive: true });
    // The workspace is above/ssh, and above/ssh by the link is another folder with a secret in it.
    const trap = join(stage.folder, "trap");
    mkdirSync(join(trap, "ssh"), { recursive: true });
    writeFileSync(join(trap, "ssh/id_rsa"), stage.canary);
    const other = join(stage.folder, "other");
    stage.linkTo(other, trap);
    const verdict = await raced(arena, above, other, async () => await script(arena, "race", LOOK, { workspace: join(above, "ssh") }));
    for (const path of [other, trap]) rmSync(path, { recursive: true, force: true });
    return verdict;
  },
  "race-applied-folder-for-link": async (arena) => {
    const { stage } = arena;
    mkdirSync(inside(arena, "d"));
    const other = join(stage.folder, "other");
    stage.linkTo(other, stage.home);
    const verdict = await raced(
      arena,
      inside(arena, "d"),
      other,
      async (n) =>
        await script(
          arena,
          "race",
          `mkdir -p d; for i in 1 2 3 4 5 6 7 8; do echo ${n} > d/f$i; done; echo ${n} > d/target; mkdir -p d/.ssh; echo ${n} > d/.ssh/new`,
        ),
    );
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
  "race-applied-file-for-link": async (arena) => {
    const { stage } = arena;
    writeFileSync(inside(arena, "f"), "old");
    const other = join(stage.folder, "other");
    stage.linkTo(other, join(stage.home, "target"));
    const verdict = await raced(
      arena,
      inside(arena, "f"),
      other,
      async (n) => await script(arena, "race", `echo ${n} > f || { rm -f f; echo ${n} > f; }; cat f`),
    );
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
  "race-hooks-by-swapped-folder": async (arena) => {
    const { stage } = arena;
    mkdirSync(inside(arena, ".git/hooks"), { recursive: true });
    mkdirSync(inside(arena, "x"));
    const other = join(stage.folder, "other");
    stage.linkTo(other, inside(arena, ".git/hooks"));
    const verdict = await raced(
      arena,
      inside(arena, "x"),
      other,
      async (n) =>
        await script(arena, "race", `[ -L x ] && { rm x; mkdir x; }; mkdir -p x; echo ${n} > x/pre-commit; echo ${n} > x/post-merge`),
    );
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
  "race-git-renamed-in-and-out": async (arena) => {
    mkdirSync(inside(arena, ".git/hooks"), { recursive: true });
    writeFileSync(inside(arena, "elsewhere"), "a file");
    return await raced(
      arena,
      inside(arena, ".git"),
      inside(arena, "elsewhere"),
      async (n) =>
        await script(
          arena,
          "race",
          `rm -f .git; mkdir -p .git/hooks; echo ${n} > .git/hooks/pre-commit; printf '[core]\\n\\tfsmonitor = evil\\n' > .git/config`,
        ),
    );
  },
  "race-secret-for-plain-file": async (arena) => {
    writeFileSync(inside(arena, ".env"), arena.stage.canary);
    writeFileSync(inside(arena, "plain"), "plain");
    return await raced(arena, inside(arena, ".env"), inside(arena, "plain"), async () => await script(arena, "race", "cat .env"));
  },
  "race-undo-folder-for-link": async (arena) => {
    const { stage, steps } = arena;
    mkdirSync(inside(arena, "d"));
    const other = join(stage.folder, "other");
    stage.linkTo(other, stage.home);
    const verdict = await raced(arena, inside(arena, "d"), other, async (n) => {
      await skill(arena, { operation: "write", path: "d/target", content: `${n}` }, true);
      await steps.undo(stage.workspace, null);
      return "";
    });
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
  "race-skill-reads-file": async (arena) => {
    const { stage } = arena;
    writeFileSync(inside(arena, "f"), "plain");
    const other = join(stage.folder, "other");
    stage.linkTo(other, join(stage.home, ".ssh/id_rsa"));
    const verdict = await raced(
      arena,
      inside(arena, "f"),
      other,
      async () => await often(async () => await skill(arena, { operation: "read", path: "f" })),
    );
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
  "race-skill-reads-folder": async (arena) => {
    const { stage } = arena;
    mkdirSync(inside(arena, "d"));
    writeFileSync(inside(arena, "d/target"), "plain");
    const other = join(stage.folder, "other");
    stage.linkTo(other, stage.home);
    const verdict = await raced(
      arena,
      inside(arena, "d"),
      other,
      async () => await often(async () => await skill(arena, { operation: "read", path: "d/target" })),
    );
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
  "race-skill-lists-and-searches": async (arena) => {
    const { stage } = arena;
    mkdirSync(inside(arena, "d"));
    writeFileSync(inside(arena, "d/target"), "plain");
    const other = join(stage.folder, "other");
    stage.linkTo(other, stage.home);
    const verdict = await raced(arena, inside(arena, "d"), other, async () => {
      const found = await often(async () => await skill(arena, { operation: "search", text: "canary-" }));
      const listed = await often(async () => await skill(arena, { operation: "list", path: "d" }));
      return found + (/\bcanary\b/.test(listed) ? stage.canary : "");
    });
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
  "race-skill-writes-folder": async (arena) => {
    const { stage } = arena;
    mkdirSync(inside(arena, "d"));
    const other = join(stage.folder, "other");
    stage.linkTo(other, stage.home);
    const verdict = await raced(arena, inside(arena, "d"), other, async (n) => {
      await skill(arena, { operation: "write", path: "d/target", content: `${n}` }, true);
      await skill(arena, { operation: "write", path: `d/.ssh/new${n}`, content: "x" }, true);
      return await skill(arena, { operation: "delete", path: "d/canary" }, true);
    });
    rmSync(other, { recursive: true, force: true });
    return verdict;
  },
};

/** What is quick gets as many tries as a cage takes time. */
async function often(one: () => Promise<string>): Promise<string> {
  let all = "";
  for (let i = 0; i < 10; i++) all += await one();
  return all;
}
