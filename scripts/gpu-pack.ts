/**
 * `make pack NAME=vulkan`: fetches node-llama-cpp's GPU build from the npm registry that is set up here and lays it out as `dist/packs/NAME/` with the manifest that
 * the program checks. No script of the package runs.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { GPU_PACKS, hashFile } from "../src/platform/native/gpu-pack.ts";

const ROOT = resolve(import.meta.dir, "..");
/** CUDA's older kernels lie in a second package. */
const NAMES: Readonly<Record<string, readonly (typeof GPU_PACKS)[number][]>> = {
  vulkan: ["linux-x64-vulkan"],
  cuda: ["linux-x64-cuda", "linux-x64-cuda-ext"],
};

try {
  const names = NAMES[process.argv[2] ?? ""];
  if (names === undefined) throw new Error(`Say which: make pack NAME=${Object.keys(NAMES).join(" or NAME=")}`);
  for (const name of names) fetchPack(name);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}

function fetchPack(name: string): void {
  const { version } = JSON.parse(readFileSync(join(ROOT, "node_modules/node-llama-cpp/package.json"), "utf8")) as { version: string };
  const packs = join(ROOT, "dist/packs");
  const target = join(packs, name);
  if (existsSync(join(target, "manifest.json"))) {
    console.log(`dist/packs/${name} is there already; remove it to fetch it again`);
    return;
  }
  mkdirSync(packs, { recursive: true });
  const work = mkdtempSync(join(packs, ".fetch-"));
  try {
    console.log(`@node-llama-cpp/${name}@${version} by npm`);
    succeed(["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", work, `@node-llama-cpp/${name}@${version}`]);
    const archive = readdirSync(work).find((file) => file.endsWith(".tgz"));
    if (archive === undefined) throw new Error("npm left no package");
    const pack = join(work, "pack");
    mkdirSync(pack);
    succeed(["tar", "-xzf", join(work, archive), "-C", pack, "--strip-components=1", "package/bins", "package/LICENSE"]);
    const bins = join(pack, "bins");
    const files = readdirSync(bins, { recursive: true, encoding: "utf8" })
      .filter((path) => statSync(join(bins, path)).isFile())
      .sort()
      .map((path) => ({ path, size: statSync(join(bins, path)).size, sha256: hashFile(join(bins, path)) }));
    writeFileSync(join(pack, "manifest.json"), JSON.stringify({ version, files }, null, 2));
    renameSync(pack, target);
    console.log(`dist/packs/${name}: ${files.length} files, ${(files.reduce((sum, file) => sum + file.size, 0) / 1e6).toFixed(0)} MB`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function succeed(argv: readonly string[]): void {
  const run = Bun.spawnSync([...argv], { stdio: ["ignore", "ignore", "inherit"] });
  if (run.exitCode !== 0) throw new Error(`${argv.slice(0, 2).join(" ")} failed`);
}
