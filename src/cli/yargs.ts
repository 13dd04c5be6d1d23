import type { Argv } from "yargs";
// @ts-expect-error -- no declarations for this path; the type stands below
import { YargsFactory } from "../../node_modules/yargs/build/lib/yargs-factory.js";
// @ts-expect-error -- likewise
import Parser from "../../node_modules/yargs-parser/build/lib/index.js";

/**
 * yargs on a platform of our own, as it has one each for Node, Deno and browsers. Its Node platform opens `/locales/en_US.json`
 * (that is where its translations would lie from inside an executable: a file of whatever host this is) and loads a
 * formatter for help that we print ourselves; without both, a command starts 6 ms sooner. The path is not among the
 * package's exports: the version is pinned, and a build without the file fails.
 */
export const yargs = (YargsFactory as (platform: object) => () => Argv)({
  Parser,
  mainFilename: "noctem",
  assert: { notStrictEqual() {}, strictEqual() {} },
  path: { basename: String, dirname: String, extname: () => "", relative: String, resolve: String, join: String },
  process: {
    argv: () => [],
    cwd: () => "/",
    emitWarning() {},
    execPath: () => "noctem",
    exit: unexpected,
    nextTick: queueMicrotask,
    stdColumns: null,
  },
  y18n: {
    __: fill,
    __n: (one: string, many: string, count: number, ...rest: unknown[]) => fill(count === 1 ? one : many, ...rest),
    getLocale: () => "en",
    setLocale() {},
    updateLocale() {},
  },
  getProcessArgvBin: () => "noctem",
  getEnv: () => undefined,
  findUp: () => undefined,
  inspect: String,
  stringWidth: (text: string) => text.length,
  // It renders its own help with each command, whether or not anybody asks.
  cliui: () => ({ div() {}, span() {}, resetOutput() {}, toString: () => "" }),
  getCallerFile: unexpected,
  readFileSync: unexpected,
  readdirSync: unexpected,
  require: unexpected,
});

function fill(text: string, ...values: unknown[]): string {
  return values.reduce<string>((filled, value) => filled.replace(/%[sd]/u, String(value)), text);
}

/** Nothing we use of yargs reads files, prints or ends the process. */
function unexpected(): never {
  throw new Error("yargs reached beyond its platform");
}
