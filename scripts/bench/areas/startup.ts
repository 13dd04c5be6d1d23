import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "../../build.ts";
import { pairedRatio, summarise } from "../stats.ts";
import { inTerminal } from "../support/terminal.ts";
import { type Row, skipped } from "../table.ts";

const ROOT = join(import.meta.dir, "../../..");
const RUNS = 40;
/** Ink brackets each frame as one synchronised update. */
const END_OF_FRAME = "\u001b[?2026l";
const env = { PATH: "/usr/bin:/bin", TERM: "xterm-256color", LANG: "C.UTF-8" };

/** From spawn to exit, and from spawn to the first frame; against a program that does nothing, compiled alike. */
export async function startup(): Promise<readonly Row[]> {
  const program = join(ROOT, "dist/noctem");
  const trivial = await trivialProgram();
  const times: Record<"trivial" | "version" | "help", number[]> = { trivial: [], version: [], help: [] };
  for (let run = -3; run < RUNS; run++) {
    const round = {
      trivial: await spawnMs([trivial]),
      version: await spawnMs([program, "--version"]),
      help: await spawnMs([program, "--help"]),
    };
    if (run >= 0) for (const name of ["trivial", "version", "help"] as const) times[name].push(round[name]);
  }
  return [
    { what: "a trivial compiled program", unit: "ms", value: summarise(times.trivial) },
    { what: "--version, warm", unit: "ms", value: summarise(times.version), target: { at: "most", value: 10 } },
    { what: "--version over the trivial program", unit: "×", value: pairedRatio(times.version, times.trivial) },
    { what: "--help, warm", unit: "ms", value: summarise(times.help), target: { at: "most", value: 16 } },
    { what: "first frame of the chat, warm", unit: "ms", value: summarise(await firstFrames(program)), target: { at: "most", value: 60 } },
    ...(await cold(program)),
    { what: "size of the executable", unit: "MB", value: summarise([statSync(program).size / 1e6]) },
  ];
}

async function trivialProgram(): Promise<string> {
  const folder = join(ROOT, "build/bench");
  const path = join(folder, "trivial");
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "trivial.ts"), 'console.log("0");\n');
  await compile(join(folder, "trivial.ts"), path);
  return path;
}

async function spawnMs(argv: readonly string[]): Promise<number> {
  const started = performance.now();
  const child = Bun.spawn([...argv], { env, stdio: ["ignore", "ignore", "ignore"] });
  await child.exited;
  return performance.now() - started;
}

/** On a stick with a heart and no model, so that loading one does not take part. */
async function firstFrames(program: string): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), "noctem-bench-"));
  try {
    copyFileSync(program, join(folder, "noctem"));
    const frames: number[] = [];
    for (let run = -2; run < 15; run++) {
      await using chat = inTerminal([join(folder, "noctem")], env);
      const ms = await chat.until((written) => written.includes("Noctem") && written.includes(END_OF_FRAME), 5000);
      if (run >= 0) frames.push(ms);
    }
    return frames;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The file's pages are dropped from the cache, as after plugging in the stick; the disk here is no stick, so this is reported alone. */
async function cold(program: string): Promise<Row[]> {
  const what = "--version, cold page cache (this disk)";
  const times: number[] = [];
  for (let run = 0; run < 5; run++) {
    const dropped = Bun.spawnSync(["dd", `if=${program}`, "iflag=nocache", "count=0"], { stdio: ["ignore", "ignore", "ignore"] });
    if (dropped.exitCode !== 0) return [skipped(what, "dd cannot drop the file from the page cache")];
    times.push(await spawnMs([program, "--version"]));
  }
  return [{ what, unit: "ms", value: summarise(times) }];
}
