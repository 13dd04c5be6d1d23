import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/**
 * The rules of the house, as a test. Each rule names what is allowed and why; an exception stands here, with its reason,
 * and nowhere else.
 */
const root = join(import.meta.dir, "..");

/** Folder → folders it may import, besides itself. Written out in full: a rule that must be derived is a rule nobody reads. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  lib: [],
  config: ["lib"],
  heart: ["lib"],
  audit: ["lib", "heart"],
  bark: ["lib", "audit", "heart"],
  fetch: ["lib", "bark"],
  skills: ["lib", "config", "heart", "bark", "fetch"],
  engine: ["lib"],
  models: ["lib", "config", "engine"],
  agent: ["lib", "config", "heart", "engine", "models"],
  session: ["lib", "config", "heart", "engine", "models", "agent"],
  headless: ["lib", "config", "session", "heart", "engine", "models"],
  tui: ["lib", "config", "session"],
  platform: ["lib", "config", "heart", "audit", "bark", "fetch", "skills", "engine", "models", "session"],
  cli: ["lib", "config", "heart", "audit", "bark", "skills", "engine", "models", "agent", "session", "headless", "platform", "tui"],
  main: ["engine", "fetch", "platform", "cli"],
};
/** Files that put real effects into pure code. They alone import `platform`. */
const COMPOSITION_ROOTS = new Set(["src/main.ts", "src/engine/child.ts", "src/fetch/child.ts"]);
/** Where an edge takes no more than a type from deeper down: errors travel inside events. */
const TYPE_ONLY: Record<string, readonly string[]> = { headless: ["heart", "engine", "models"], tui: ["heart", "engine", "models"] };

const EFFECTS = /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|process\.|globalThis\.fetch|fetch\()/u;
/** Pure code by architecture; `every`, `clock` and `random` reach it as arguments. Reasons for exceptions stand beside them. */
const PURE_FOLDERS = [
  "src/lib",
  "src/audit",
  "src/bark",
  "src/fetch",
  "src/skills",
  "src/config",
  "src/heart",
  "src/agent",
  "src/session",
  "src/models",
];
const MAY_HAVE_EFFECTS: Record<string, string> = {};

/** What reaches the network or listens, and why. Everything else goes through one of these. */
const NETWORK = /\bfetch\(|node:(?:http|https|http2|net|tls|dgram|dns)|\bBun\.(?:listen|connect|serve|udpSocket|dns)\b/u;
const MAY_REACH: Record<string, string> = {
  "src/platform/http.ts": "what a person orders: models",
  "src/platform/fetch/wire.ts": "a page of the web, inside a cage, where nothing is reached but the cage's proxy",
  "src/platform/proxy/server.ts": "what a skill's program asks for: its cage's relay leads to a socket here",
  "src/platform/proxy/dial.ts": "and what it is allowed to reach is looked up and dialled here",
  "src/platform/audit-presence.ts": "a socket whose name says that a sitting of the log goes on; nobody speaks through it",
  "src/platform/redteam/listener.ts": "listeners that attacks must not reach",
  "src/platform/redteam/network.ts": "servers that stand for the internet while the proxy is attacked",
};

const MAX_LINES = 500;
/** Longer files and why. */
const LONG_FILES: Record<string, string> = {};

interface Source {
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  readonly imports: readonly { readonly target: string; readonly typeOnly: boolean }[];
}

function sources(): Source[] {
  const paths = ["src", "tui"].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.tsx?$/u.test(name))
      .map((name) => join(top, name)),
  );
  return paths.map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    return { path, folder: folderOf(path), text, imports: importsOf(path, text) };
  });
}

function folderOf(path: string): string {
  if (path.startsWith("tui/")) return "tui";
  return path === "src/main.ts" ? "main" : (path.split("/")[1] ?? "");
}

function importsOf(path: string, text: string): Source["imports"] {
  const found = text.matchAll(/^\s*(?:import|export)\s+(type\s)?[^"';]*?from\s+"([^"]+)"|\bimport\(\s*"([^"]+)"|^import\s+"([^"]+)"/gmu);
  return [...found].map((match) => {
    const specifier = match[2] ?? match[3] ?? match[4] ?? "";
    const target = specifier.startsWith(".") ? relative(root, join(root, dirname(path), specifier)) : specifier;
    return { target, typeOnly: match[1] !== undefined };
  });
}

const all = sources();

describe("house rules", () => {
  test("there is something to check, and imports are seen", () => {
    expect(all.length).toBeGreaterThan(60);
    expect(all.flatMap((source) => source.imports).filter((entry) => entry.target.startsWith("src/")).length).toBeGreaterThan(100);
  });

  test("imports follow the direction of the architecture", () => {
    const wrong = all.flatMap((source) =>
      source.imports
        .filter(({ target }) => target.startsWith("src/") || target.startsWith("tui/"))
        .filter(({ target, typeOnly }) => {
          const to = folderOf(target);
          if (to === source.folder) return false;
          if (to === "platform" && COMPOSITION_ROOTS.has(source.path)) return false;
          if (typeOnly && TYPE_ONLY[source.folder]?.includes(to)) return false;
          if (TYPE_ONLY[source.folder]?.includes(to)) return true;
          return !MAY_IMPORT[source.folder]?.includes(to);
        })
        .map(({ target }) => `${source.path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test("bun:sqlite, bun:ffi and node effects live in platform alone", () => {
    const wrong = all.flatMap((source) =>
      source.imports
        .filter(({ target }) => /^(?:bun|node):/u.test(target) || target === "bun")
        .filter(({ target }) => {
          if (target === "node:path") return false;
          if (target === "bun:sqlite") return !source.path.startsWith("src/platform/sqlite/");
          if (target === "bun:ffi") return !source.path.startsWith("src/platform/ffi/");
          return source.folder !== "platform" && source.folder !== "main" && source.folder !== "cli";
        })
        .map(({ target }) => `${source.path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test("the network is reached from few files, each with its reason", () => {
    const found = all.filter((source) => NETWORK.test(withoutComments(source.text))).map((source) => source.path);
    expect(found.filter((path) => !(path in MAY_REACH))).toEqual([]);
    expect(Object.keys(MAY_REACH).filter((path) => !found.includes(path))).toEqual([]);
  });

  test("permits are minted in one place, and a look-alike is made by a cast there alone", () => {
    const wrong = all.filter(
      (source) => /as unknown as Permit\b|new PermitDesk\(/u.test(source.text) && source.path !== "src/bark/monitor/permit.ts",
    );
    expect(wrong.map((source) => source.path)).toEqual([]);
    expect(all.some((source) => source.path === "src/bark/monitor/permit.ts")).toBe(true);
  });

  test("pure folders take time and chance as arguments", () => {
    const wrong = all
      .filter((source) => PURE_FOLDERS.some((folder) => source.path.startsWith(`${folder}/`)) && !(source.path in MAY_HAVE_EFFECTS))
      .filter((source) => EFFECTS.test(withoutComments(source.text)))
      .map((source) => `${source.path}: ${EFFECTS.exec(withoutComments(source.text))?.[0]}`);
    expect(wrong).toEqual([]);
  });

  test("files stay short enough to be read at one go", () => {
    const long = all.filter((source) => source.text.split("\n").length > MAX_LINES && !(source.path in LONG_FILES));
    expect(long.map((source) => source.path)).toEqual([]);
  });

  test("no `any`, and no suppressed check without its reason", () => {
    const wrong = all.filter(
      (source) =>
        /\bas any\b|: any\b/u.test(withoutComments(source.text)) ||
        /@ts-ignore|@ts-nocheck|@ts-expect-error\s*$|oxlint-disable(?![^\n]* -- )/mu.test(source.text),
    );
    expect(wrong.map((source) => source.path)).toEqual([]);
  });

  test("exit codes are written in one place", () => {
    const wrong = all
      .filter((source) => source.folder !== "main" && /process\.exit\(\s*[1-9]/u.test(source.text))
      .map((source) => source.path);
    expect(wrong).toEqual([]);
  });
});

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gmu, "");
}
