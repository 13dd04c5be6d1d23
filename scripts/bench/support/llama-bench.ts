import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../../..");
const BINS = join(ROOT, "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64");
const BUNDLE = join(ROOT, "node_modules/node-llama-cpp/llama/gitRelease.bundle");

export interface LlamaBench {
  /** Tokens per second: a prompt of `prompt` tokens, or `generate` tokens one by one. */
  run(model: string, work: { readonly prompt: number } | { readonly generate: number }, threads: number): Promise<number>;
  /** The libraries that it maps, for proof that they are the shipped ones. */
  readonly libraries: readonly string[];
}

/**
 * llama-bench, built from the source that node-llama-cpp ships and linked to the libraries that it ships: the same code
 * below, none of ours above. Built once into build/bench. The error is a sentence.
 */
export function llamaBench(): LlamaBench | string {
  const folder = join(ROOT, "build/bench/llama-bench");
  const program = join(folder, "llama-bench");
  if (!existsSync(program)) {
    const failure = buildIn(folder, program);
    if (failure !== null) return failure;
  }
  const libraries = text(["ldd", program])
    .split("\n")
    .map((line) => line.trim().split(" ")[2] ?? "")
    .filter((path) => path.startsWith(folder));
  if (libraries.length < 3) return "llama-bench does not use the shipped libraries";
  return {
    libraries,
    run: async (model, work, threads) => {
      const [prompt, generate] = "prompt" in work ? [work.prompt, 0] : [0, work.generate];
      const argv = [program, "-m", model, "-p", `${prompt}`, "-n", `${generate}`, "-t", `${threads}`, "-r", "1", "-ngl", "0", "-o", "json"];
      const child = Bun.spawn(argv, { stdio: ["ignore", "pipe", "ignore"] });
      const results = JSON.parse(await child.stdout.text()) as { readonly avg_ts: number }[];
      return results[0]?.avg_ts ?? Number.NaN;
    },
  };
}

function buildIn(folder: string, program: string): string | null {
  for (const tool of ["git", "g++"]) if (Bun.which(tool) === null) return `${tool} is missing (apt-get install ${tool})`;
  const source = join(ROOT, "build/bench/llama.cpp");
  if (!existsSync(source)) {
    const cloned = Bun.spawnSync(["git", "clone", "-q", BUNDLE, source], { stdio: ["ignore", "ignore", "ignore"] });
    if (cloned.exitCode !== 0) return "the source bundle of node-llama-cpp cannot be cloned";
  }
  mkdirSync(folder, { recursive: true });
  // Beside the program: there ggml looks for the build that fits the processor.
  const libraries = readdirSync(BINS).filter((name) => name.endsWith(".so"));
  for (const name of libraries) copyFileSync(join(BINS, name), join(folder, name));
  const linked = libraries.filter((name) => !name.startsWith("libggml-cpu")).map((name) => join(folder, name));
  const includes = ["include", "ggml/include", "common", "vendor"].map((path) => `-I${join(source, path)}`);
  const sources = ["llama-bench.cpp", "main.cpp"].map((name) => join(source, "tools/llama-bench", name));
  const built = Bun.spawnSync(
    ["g++", "-O2", "-std=c++17", ...includes, ...sources, "-o", program, ...linked, "-Wl,-rpath,$ORIGIN", "-Wl,--allow-shlib-undefined"],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  if (built.exitCode === 0) return null;
  rmSync(program, { force: true });
  return `llama-bench does not compile: ${built.stderr.toString().split("\n")[0] ?? ""}`;
}

const text = (argv: string[]): string => Bun.spawnSync(argv, { stdio: ["ignore", "pipe", "ignore"] }).stdout.toString();
