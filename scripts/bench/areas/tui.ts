import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "../../build.ts";
import { quantile, summarise } from "../stats.ts";
import { cpuSeconds, inTerminal, residentBytes } from "../support/terminal.ts";
import type { Row } from "../table.ts";

const ROOT = join(import.meta.dir, "../../..");
const SECONDS = 20;
const KEYS_PER_SECOND = 5;
const env = { PATH: "/usr/bin:/bin", TERM: "xterm-256color", LANG: "C.UTF-8", COLORTERM: "truecolor" };

/** The chat at 80×24 with 10,000 lines behind it while 50 tokens a second arrive and a person types. */
export async function tui(): Promise<readonly Row[]> {
  mkdirSync(join(ROOT, "build/bench"), { recursive: true });
  const demo = join(ROOT, "build/bench/tui-demo");
  await compile(join(ROOT, "scripts/bench/support/tui-demo.tsx"), demo);
  const streaming = await measure(demo, { RATE: "50", LINES: "10000" });
  const still = await measure(demo, { RATE: "0", LINES: "10000" });
  const echoes = streaming.echoes.toSorted((a, b) => a - b);
  return [
    {
      what: "processor while 50 tokens/s stream",
      unit: "% of a core",
      value: summarise([streaming.cpu]),
      target: { at: "most", value: 15 },
    },
    { what: "key echo while they do, median", unit: "ms", value: summarise(echoes) },
    {
      what: "key echo while they do, 95th percentile",
      unit: "ms",
      value: summarise([quantile(echoes, 0.95)]),
      target: { at: "most", value: 16 },
    },
    { what: "memory with 10,000 lines", unit: "MB", value: summarise([streaming.resident / 1e6]), target: { at: "most", value: 110 } },
    { what: "written to the terminal", unit: "KB/s", value: summarise([streaming.bytes / 1000 / SECONDS]) },
    { what: "processor while nothing streams, 5 keys/s", unit: "% of a core", value: summarise([still.cpu]) },
    {
      what: "memory of the idle host (the product, no model)",
      unit: "MB",
      value: summarise([(await idle()) / 1e6]),
      target: { at: "most", value: 120 },
    },
  ];
}

async function measure(program: string, some: Readonly<Record<string, string>>) {
  await using chat = inTerminal([program], { ...env, ...some });
  await chat.until((written) => written.includes("t/s") || written.includes("no model"), 10_000);
  await Bun.sleep(2000);
  const echoes: number[] = [];
  let bytes = 0;
  const before = { cpu: cpuSeconds(chat.pid), at: performance.now() };
  for (let key = 0; key < SECONDS * KEYS_PER_SECOND; key++) {
    bytes += chat.take().length;
    const letter = String.fromCharCode(0x4e00 + key);
    const pressed = performance.now();
    chat.write(letter);
    await chat.until((written) => written.includes(letter), 5000);
    echoes.push(performance.now() - pressed);
    await Bun.sleep(Math.max(0, 1000 / KEYS_PER_SECOND - (performance.now() - pressed)));
  }
  const cpu = ((cpuSeconds(chat.pid) - before.cpu) / ((performance.now() - before.at) / 1000)) * 100;
  return { cpu, echoes, bytes, resident: residentBytes(chat.pid) };
}

async function idle(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "noctem-bench-"));
  try {
    copyFileSync(join(ROOT, "dist/noctem"), join(folder, "noctem"));
    await using chat = inTerminal([join(folder, "noctem")], env);
    await chat.until((written) => written.includes("Noctem"), 5000);
    await Bun.sleep(3000);
    return residentBytes(chat.pid);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
