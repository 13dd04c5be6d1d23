/**
 * Builds the one executable: `bun scripts/build.ts [--outfile FILE] [--force]`. Nothing happens when no source changed since the last build.
 * The same sources give the same bytes for the same file name (test/e2e/build.test.ts).
 */
import type { BunPlugin } from "bun";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { embedLlama } from "./build/embed-llama.ts";
import { buildHelper } from "./build/helper.ts";
import { blankRuntimeSwitches } from "./build/harden.ts";
import { nativePack } from "./build/native-pack.ts";

const ROOT = resolve(import.meta.dir, "..");

export interface BuildOptions {
  readonly outfile: string;
  /** Another node-llama-cpp than the installed one; for tests. */
  readonly llama?: string;
}

/** Builds always; see `buildIfChanged`. Throws an Error whose message is for the person. */
export async function build({ outfile, llama = join(ROOT, "node_modules/node-llama-cpp") }: BuildOptions): Promise<void> {
  const bins = join(ROOT, "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64");
  const embed = embedLlama({ root: ROOT, llama, pack: nativePack(bins, join(ROOT, "build")) });
  // Into a folder of its own and then renamed: a running `noctem` is never overwritten ("text file busy"), an interrupted build leaves the old one.
  const folder = join(ROOT, "build", `compile-${process.pid}`);
  const part = join(folder, basename(outfile));
  mkdirSync(folder, { recursive: true });
  try {
    await compile(join(ROOT, "src/main.ts"), part, [embed.plugin, embedHelper()]);
    embed.check();
    blankRuntimeSwitches(part);
    mkdirSync(dirname(outfile), { recursive: true });
    chmodSync(part, 0o755);
    renameSync(part, outfile);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One entry to one executable, with the flags of the product. Benches compile their baselines with it too. */
export async function compile(entry: string, outfile: string, plugins: readonly BunPlugin[] = []): Promise<void> {
  const result = await Bun.build({
    entrypoints: [entry],
    target: "bun",
    format: "esm",
    minify: true,
    splitting: true,
    bytecode: true,
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [stubDevtools, ...plugins],
    // Autoload is off for safety, not for speed: with it the executable runs the preload of any bunfig.toml in the folder where the person stands.
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false, autoloadTsconfig: false, autoloadPackageJson: false },
    throw: false,
  });
  if (!result.success) throw new Error(`The build failed:\n${result.logs.map(String).join("\n")}`);
}

/** Builds unless `outfile` was made from exactly these sources. Answers whether it built. */
export async function buildIfChanged(options: BuildOptions): Promise<boolean> {
  const stamp = join(ROOT, "build", `${basename(options.outfile)}.stamp`);
  const before = sourceKey();
  if (existsSync(options.outfile) && existsSync(stamp) && readFileSync(stamp, "utf8") === `${before} ${fileKey(options.outfile)}`)
    return false;
  await build(options);
  // A source that was saved meanwhile makes the stamp wrong on purpose: the next call builds again.
  writeFileSync(stamp, `${before} ${fileKey(options.outfile)}`);
  return true;
}

/** Without a compiler the executable has no helper, and skills that need a cage say so; everything else works. */
function embedHelper(): BunPlugin {
  const helper = buildHelper();
  if (typeof helper === "string") console.log(`without the cage: ${helper}`);
  const contents =
    typeof helper === "string"
      ? "export const helperFile = null;"
      : `import path from ${JSON.stringify(helper.path)} with { type: "file" }; export const helperFile = path;`;
  return {
    name: "embed-helper",
    setup(build) {
      build.onLoad({ filter: /src\/platform\/cage\/files\.ts$/ }, () => ({ loader: "js", contents }));
    },
  };
}

/** Ink imports the devtools statically and uses them in development alone; a `define` does not remove the import. */
const stubDevtools: BunPlugin = {
  name: "stub-devtools",
  setup(build) {
    build.onResolve({ filter: /^react-devtools-core$/ }, (args) => ({ path: args.path, namespace: "no-devtools" }));
    build.onLoad({ filter: /.*/, namespace: "no-devtools" }, () => ({
      loader: "js",
      contents: "export default { initialize() {}, connectToDevTools() {} };",
    }));
  },
};

/** Contents, not times: a checkout or a `touch` must not cost a build. */
function sourceKey(): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const add = (path: string): void => {
    const full = join(ROOT, path);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) {
      for (const name of readdirSync(full).sort()) add(join(path, name));
      return;
    }
    hasher.update(`${path}\0`).update(readFileSync(full)).update("\0");
  };
  for (const path of ["src", "tui", "profiles", "native", "scripts/build", "scripts/build.ts", "package.json", "bun.lock", "tsconfig.json"])
    add(path);
  return hasher.update(Bun.revision).digest("hex");
}

/** Size and time of the product: a replaced or touched executable is built anew. Hashing 110 MB on each `make run` would be slow. */
function fileKey(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return `${size}-${mtimeMs}`;
}

if (import.meta.main) {
  const argv = process.argv.slice(2);
  const at = argv.indexOf("--outfile");
  const outfile = resolve(at >= 0 ? (argv[at + 1] ?? "") : join(ROOT, "dist/noctem"));
  try {
    if (argv.includes("--force")) rmSync(join(ROOT, "build", `${basename(outfile)}.stamp`), { force: true });
    const built = await buildIfChanged({ outfile });
    console.log(`${built ? "built" : "up to date:"} ${outfile.replace(`${ROOT}/`, "")} (${(statSync(outfile).size / 1e6).toFixed(1)} MB)`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
