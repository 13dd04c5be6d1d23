import { describe, expect, test } from "bun:test";
import {
  batchLineErrorText,
  engineErrorText,
  heartErrorText,
  pipedErrorText,
  promptErrorText,
  settingsErrorText,
  turnFailureText,
  verdictText,
} from "../../../src/cli/error-text.ts";
import { ExitCode } from "../../../src/cli/exit-code.ts";
import type { SettingsError } from "../../../src/config/settings.ts";
import type { EngineError } from "../../../src/engine/port.ts";
import type { BatchLineError } from "../../../src/headless/batch.ts";
import type { PipedError } from "../../../src/headless/piped-text.ts";
import type { Explained } from "../../../src/headless/result-object.ts";
import type { Verdict } from "../../../src/headless/verdict.ts";
import type { HeartError } from "../../../src/heart/port.ts";

/** One of each variant; a new one that is missing here does not compile. */
type Each<E extends { readonly kind: string }> = {
  readonly [K in E["kind"]]: readonly [error: Extract<E, { readonly kind: K }>, code: ExitCode];
};
const path = "/stick/x";
const detail = "the reason";

const ENGINE: Each<EngineError> = {
  "model-missing": [{ kind: "model-missing", path }, 3],
  "model-broken": [{ kind: "model-broken", path, detail }, 4],
  "model-unsupported": [{ kind: "model-unsupported", path, detail }, 4],
  "template-broken": [{ kind: "template-broken", path, detail }, 4],
  "out-of-memory": [{ kind: "out-of-memory", needed: 5e9, available: 1e9 }, 7],
  "prompt-too-long": [{ kind: "prompt-too-long", promptTokens: 9000, contextSize: 4096 }, 5],
  "schema-unsupported": [{ kind: "schema-unsupported", detail }, 2],
  "not-loaded": [{ kind: "not-loaded" }, 12],
  cancelled: [{ kind: "cancelled" }, 130],
  crashed: [{ kind: "crashed", exitCode: null, signal: "SIGSEGV", detail }, 12],
  hung: [{ kind: "hung", seconds: 30 }, 12],
  unavailable: [{ kind: "unavailable", detail }, 12],
};

const HEART: Each<HeartError> = {
  damaged: [{ kind: "damaged", path, detail }, 6],
  foreign: [{ kind: "foreign", path }, 6],
  outdated: [{ kind: "outdated", path }, 6],
  unfinished: [{ kind: "unfinished", path }, 6],
  exists: [{ kind: "exists", path }, 2],
  "same-file": [{ kind: "same-file", path }, 2],
  newer: [{ kind: "newer", path, found: 9, known: 1 }, 6],
  "keys-missing": [{ kind: "keys-missing", path }, 6],
  "keys-broken": [{ kind: "keys-broken", path, detail }, 6],
  unreadable: [{ kind: "unreadable", path, detail }, 6],
  locked: [{ kind: "locked", path }, 6],
  full: [{ kind: "full", path }, 7],
  io: [{ kind: "io", path, detail }, 6],
  "read-only": [{ kind: "read-only", path }, 7],
  "not-found": [{ kind: "not-found", what: "session 3fa9" }, 2],
  ambiguous: [{ kind: "ambiguous", prefix: "3fa9", matches: 2 }, 2],
};

const SETTINGS: Each<SettingsError> = {
  "not-json": [{ kind: "not-json", file: path, line: 2, column: 3 }, 2],
  "not-an-object": [{ kind: "not-an-object", file: path }, 2],
  "unknown-setting": [{ kind: "unknown-setting", where: path, name: "x", near: null }, 2],
  "bad-setting": [{ kind: "bad-setting", where: path, name: "x", wants: "a number", found: '"y"' }, 2],
  "host-path": [{ kind: "host-path", where: path, name: "x", found: "/y" }, 2],
  unreadable: [{ kind: "unreadable", file: path, detail }, 2],
  "read-only": [{ kind: "read-only", file: path }, 7],
  full: [{ kind: "full", file: path }, 7],
  io: [{ kind: "io", file: path, detail }, 7],
};

const PIPED: Each<PipedError> = {
  "too-large": [{ kind: "too-large", limit: 8e6 }, 2],
  binary: [{ kind: "binary", offset: 3 }, 2],
  "not-utf8": [{ kind: "not-utf8" }, 2],
  utf16: [{ kind: "utf16" }, 2],
  silent: [{ kind: "silent", seconds: 30 }, 2],
  unreadable: [{ kind: "unreadable", detail }, 2],
};

const BATCH: Each<BatchLineError> = {
  ...PIPED,
  "not-json": [{ kind: "not-json" }, 2],
  "bad-line": [{ kind: "bad-line", problem: "it is not an object" }, 2],
  empty: [{ kind: "empty" }, 2],
  "slash-command": [{ kind: "slash-command", name: "/x" }, 2],
};

const VERDICTS: Each<Exclude<Verdict, { kind: "done" }>> = {
  silent: [{ kind: "silent" }, 0],
  "context-full": [{ kind: "context-full", contextSize: 2048 }, 13],
  loop: [{ kind: "loop" }, 13],
  "only-reasoning": [{ kind: "only-reasoning" }, 13],
  schema: [{ kind: "schema", problem: "$ is not of type string" }, 13],
  timeout: [{ kind: "timeout", kept: true }, 124],
  interrupted: [{ kind: "interrupted", kept: false }, 130],
  failed: [{ kind: "failed", failure: { kind: "no-model", hint: "" } }, 3],
  lost: [{ kind: "lost" }, 1],
};

/** A sentence or a few, each whole, with every fact of the error in it. */
function check({ text, code }: Explained, error: object, wanted: ExitCode): void {
  expect(code).toBe(wanted);
  expect(text).toMatch(/^[A-Z/"].{6,}[.?)]$/su);
  expect(text.replace("/dev/null", "")).not.toMatch(/undefined|null|\[object|NaN|\.\./u);
  expect(text).not.toContain("\n");
  for (const fact of Object.values(error))
    if (typeof fact === "string" && fact.length > 8 && fact.includes(" ")) expect(text.toLowerCase()).toContain(fact.toLowerCase());
}

function checkAll<E extends { readonly kind: string }>(name: string, all: Each<E>, explain: (error: E) => Explained): void {
  describe(name, () => {
    for (const [kind, entry] of Object.entries<readonly [E, ExitCode]>(all)) {
      const { kind: _, ...facts } = entry[0];
      test(kind, () => check(explain(entry[0]), kind === "failed" ? {} : facts, entry[1]));
    }
  });
}

checkAll("engine", ENGINE, engineErrorText);
checkAll("heart", HEART, heartErrorText);
checkAll("settings", SETTINGS, settingsErrorText);
checkAll("piped text", PIPED, pipedErrorText);
checkAll("batch lines", BATCH, batchLineErrorText);
checkAll("verdicts", VERDICTS, verdictText);

test("a turn says what failed in it", () => {
  check(turnFailureText({ kind: "engine", error: { kind: "hung", seconds: 30 } }), {}, ExitCode.ENGINE);
  check(turnFailureText({ kind: "no-model", hint: "Pull a model with models pull." }), {}, ExitCode.NO_MODEL);
  const store = turnFailureText({ kind: "store", error: { kind: "full", path } });
  expect(store.text).toStartWith("The message could not be kept. There is no room left");
  expect(store.code).toBe(ExitCode.NO_ROOM);
});

test("done says nothing", () => expect(verdictText({ kind: "done" })).toEqual({ text: "", code: 0 }));
test("an empty prompt says what to do", () => expect(promptErrorText({ kind: "empty" }).text).toContain('noctem -p "…"'));
