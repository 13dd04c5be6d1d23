import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { findBwrap } from "../../../src/platform/cage/host.ts";
import { inTurn, pairedRatio, summarise } from "../stats.ts";
import { type Row, skipped } from "../table.ts";

/** Installed by npm when this bench first runs, for it alone: nothing of the project needs them. Pinned, so that figures of two runs mean the same. */
const PACKAGES = { "@anthropic-ai/sandbox-runtime": "0.0.83", "@openai/codex": "0.171.0" } as const;
const FOLDER = resolve(import.meta.dir, "../../../build/bench/peers");
const INSTALLING = 5 * 60_000;
/** A run of a peer may take most of a second. */
const ROUNDS = 8;
const LONGEST = 20_000;

/** `true` in the cages of two peers over bare bubblewrap, in the same run. What cannot be installed or run here is skipped, with what it said. */
export async function barkPeers(): Promise<readonly Row[]> {
  const bwrap = findBwrap();
  if (bwrap === null) return [skipped("peers", "bubblewrap is not installed")];
  const missing = install();
  const bare = timed([bwrap, "--ro-bind", "/", "/", "/bin/sh", "-c", "true"]);
  const rows: Row[] = [];
  for (const [what, name, command] of peers()) {
    if (command === null) {
      rows.push(skipped(what, missing ?? `${name} has no program for this computer`));
      continue;
    }
    try {
      const { a, b } = await inTurn(ROUNDS, timed(command), bare);
      rows.push(
        { what: `${what}, sh -c true`, unit: "ms", value: summarise(a) },
        { what: "  over bare bwrap", unit: "×", value: pairedRatio(a, b) },
      );
    } catch (error) {
      rows.push(skipped(what, error instanceof Error ? error.message : String(error)));
    }
  }
  return rows;
}

/** Null when they are there, or a sentence. */
function install(): string | null {
  if (Object.keys(PACKAGES).every((name) => existsSync(join(FOLDER, "node_modules", name)))) return null;
  if (Bun.which("npm") === null) return "npm is not installed";
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, "package.json"), JSON.stringify({ private: true, dependencies: PACKAGES }));
  const ran = Bun.spawnSync(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], {
    cwd: FOLDER,
    stdio: ["ignore", "ignore", "pipe"],
    timeout: INSTALLING,
  });
  return ran.exitCode === 0 ? null : `npm could not install it: ${ran.stderr.toString().trim().split("\n").at(-1)?.slice(0, 120) ?? ""}`;
}

function peers(): readonly (readonly [what: string, name: keyof typeof PACKAGES, command: readonly string[] | null])[] {
  const runtime = join(FOLDER, "node_modules/.bin/srt");
  const codex = codexProgram();
  return [
    ["sandbox-runtime", "@anthropic-ai/sandbox-runtime", existsSync(runtime) ? [runtime, "true"] : null],
    ["codex, read-only", "@openai/codex", codex === null ? null : [codex, "sandbox", "--", "/bin/sh", "-c", "true"]],
  ];
}

/** The program itself: what npm links is a script that starts it, which would be half of the time. */
function codexProgram(): string | null {
  const modules = join(FOLDER, "node_modules/@openai");
  if (!existsSync(modules)) return null;
  const found = readdirSync(modules, { recursive: true, encoding: "utf8" }).find(
    (path) => /(?:^|\/)codex$/.test(path) && path.includes("x86_64"),
  );
  return found === undefined ? null : join(modules, found);
}

const timed = (command: readonly string[]) => async (): Promise<number> => {
  const started = performance.now();
  const child = Bun.spawn([...command], {
    stdio: ["ignore", "ignore", "pipe"],
    cwd: FOLDER,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: FOLDER },
    timeout: LONGEST,
    killSignal: "SIGKILL",
  });
  const said = await child.stderr.text();
  await child.exited;
  if (child.exitCode !== 0) throw new Error(`it ended with ${child.exitCode}: ${said.trim().split("\n").at(-1)?.slice(0, 120) ?? ""}`);
  return performance.now() - started;
};
