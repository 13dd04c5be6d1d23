/**
 * Makes node-llama-cpp live inside one executable. As published it looks for its libraries, its version and its release beside its own files, tests a driver by
 * forking its own file, and carries a downloader, git and cmake. None of that exists in an executable, and the network code must not be in it.
 *
 * Each replacement hangs on a path inside the package, so the build fails by name when one of them was not met, or when the version is not the pinned one.
 */
import type { BunPlugin } from "bun";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { PackFiles } from "./native-pack.ts";

/** The version this plugin was written against. Raise it together with package.json after reading what moved. */
export const PINNED_LLAMA = "3.22.1";

/** Packages that only the never-used download and compile paths call. */
const UNUSED = [
  "ipull",
  "simple-git",
  "cmake-js",
  "validate-npm-package-name",
  "ora",
  "stdout-update",
  "proper-lockfile",
  "cross-spawn",
  "which",
  "chmodrp",
  "async-retry",
];

export interface EmbedOptions {
  /** Repository root. */
  readonly root: string;
  /** node_modules/node-llama-cpp, or a changed copy of it in a test. */
  readonly llama: string;
  readonly pack: PackFiles;
}

export interface EmbedPlugin {
  readonly plugin: BunPlugin;
  /** Throws when a replacement was not met. Call it after the build; an `onEnd` hook that throws would lose the reason. */
  check(): void;
}

export function embedLlama({ root, llama, pack }: EmbedOptions): EmbedPlugin {
  const { version } = json<{ version: string }>(join(llama, "package.json"));
  if (version !== PINNED_LLAMA)
    throw new Error(
      `node-llama-cpp is ${version}, but scripts/build/embed-llama.ts was written against ${PINNED_LLAMA}.\n` +
        "Compare the modules it replaces, then raise PINNED_LLAMA.",
    );
  const { release } = json<{ release: string }>(join(llama, "llama", "binariesGithubRelease.json"));
  const bins = JSON.stringify(join(root, "src/platform/native/bins.ts"));
  const replaced = new Map<string, string>([
    ["node-llama-cpp/dist/utils/getModuleVersion.js", `export const getModuleVersion = async () => ${JSON.stringify(version)};`],
    [
      "node-llama-cpp/dist/bindings/utils/binariesGithubRelease.js",
      `export const builtinLlamaCppRelease = ${JSON.stringify(release)}, defaultLlamaCppRelease = builtinLlamaCppRelease;
       export const getBinariesGithubRelease = async () => builtinLlamaCppRelease;
       export const setBinariesGithubRelease = async () => { throw new Error("not part of Noctem"); };`,
    ],
    [
      "node-llama-cpp/dist/bindings/utils/testBindingBinary.js",
      `export { testBindingBinary } from ${JSON.stringify(join(root, "src/platform/bindtest.ts"))};`,
    ],
    [
      "src/platform/native/pack.ts",
      `import path from ${JSON.stringify(pack.pack)} with { type: "file" };
       import manifest from ${JSON.stringify(pack.manifest)} with { type: "json" };
       export const embeddedPack = { path, manifest };`,
    ],
  ]);
  const met = new Set<string>();
  const platforms = new Set<string>();

  const plugin: BunPlugin = {
    name: "embed-llama",
    setup(build) {
      for (const [path, contents] of replaced)
        build.onLoad({ filter: new RegExp(`/${path.replaceAll(".", "\\.")}$`) }, () => {
          met.add(path);
          return { loader: "js", contents };
        });

      // Platform packages answer one question, where their libraries are. Ours are unpacked (CPU) or lie beside the executable (GPU packs).
      build.onResolve({ filter: /^@node-llama-cpp\// }, (args) => ({
        path: args.path.slice("@node-llama-cpp/".length),
        namespace: "llama-platform",
      }));
      build.onLoad({ filter: /.*/, namespace: "llama-platform" }, (args) => {
        platforms.add(args.path);
        const contents = args.path.startsWith("linux-x64")
          ? `import { binsOf } from ${bins}; export const getBinsDir = () => binsOf(${JSON.stringify(args.path)}, ${JSON.stringify(version)});`
          : "export const getBinsDir = () => ({});";
        return { loader: "js", contents };
      });

      // CommonJS on purpose: their importers use default and named imports alike.
      build.onResolve({ filter: new RegExp(`^(${UNUSED.join("|")})$`) }, (args) =>
        args.importer.includes("/node-llama-cpp/") ? { path: args.path, namespace: "unused" } : undefined,
      );
      build.onLoad({ filter: /.*/, namespace: "unused" }, (args) => ({
        loader: "js",
        // The only one on a path that is taken: it asks whether another process is compiling.
        contents:
          args.path === "proper-lockfile"
            ? "export const check = async () => false; export const lock = async () => async () => {}; export default { check, lock };"
            : `const absent = () => { throw new Error(${JSON.stringify(`${args.path} is not part of Noctem`)}); }; absent.default = absent; module.exports = absent;`,
      }));
    },
  };

  return {
    plugin,
    check() {
      const missed = [...replaced.keys()].filter((path) => !met.has(path));
      if (!platforms.has("linux-x64")) missed.push("@node-llama-cpp/linux-x64");
      if (missed.length > 0)
        throw new Error(
          `node-llama-cpp's layout moved: the build never met ${missed.join(", ")}.\nFind where that went, then change scripts/build/embed-llama.ts.`,
        );
    },
  };
}

function json<T>(path: string): T {
  return JSON.parse(readFileSync(path, "utf8")) as T;
}
