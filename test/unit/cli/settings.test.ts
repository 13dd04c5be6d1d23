import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { settingsErrorText } from "../../../src/cli/error-text.ts";
import {
  environmentName,
  flagSettings,
  parseEnvironment,
  parseSettingsFile,
  parseSettingText,
  resolveSettings,
  SETTING_NAMES,
  type Settings,
  SETTINGS,
  withSetting,
} from "../../../src/config/settings.ts";
import { jsonErrorPlace } from "../../../src/lib/json-text.ts";

const FILE = "/stick/noctem.json";
const said = (text: string): string => {
  const parsed = parseSettingsFile(text, FILE);
  if (parsed.ok) return "";
  const { text: sentence, code } = settingsErrorText(parsed.error);
  expect(code).toBe(2);
  return sentence;
};

describe("the file", () => {
  test("nothing, an empty file and a BOM are no settings and no error", () => {
    for (const text of ["", " \n", "{}", "\ufeff{}"]) expect(parseSettingsFile(text, FILE)).toEqual({ ok: true, value: {} });
  });

  test("what is wrong is named with its place", () => {
    expect(said('{\n  "context": 4096,\n}')).toBe(`${FILE} is not JSON: see line 3, column 1.`);
    expect(said("[]")).toContain("has to be a JSON object");
    expect(said('{"contxt": 4096}')).toBe(`${FILE}: there is no setting "contxt". Did you mean "context"?`);
    expect(said('{"zzzzzz": 1}')).toContain("noctem config list");
    expect(said('{"context": "4096"}')).toBe(`${FILE}: context wants a whole number of at least 128, not "4096".`);
    expect(said('{"__proto__": 1}')).toContain('no setting "__proto__"');
    expect(said('{"constructor": 1}')).toContain('no setting "constructor"');
  });

  test("a path of one computer is refused: the file travels", () => {
    expect(said('{"workspace": "/home/me"}')).toContain("path of one computer");
    expect(said('{"model": "/models/x.gguf"}')).toContain("path of one computer");
    expect(said('{"model": "models/x.gguf", "workspace": "work"}')).toBe("");
  });
});

test("a flag beats the environment beats the file beats the default", () => {
  const source = fc.record(
    { temperature: fc.constantFrom(0, 1, 2), store: fc.boolean(), model: fc.constantFrom("a", "b") },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(source, source, source, (flag, environment, file) => {
      const { settings, origins } = resolveSettings({ flag, environment, file } as Record<string, Settings> as never);
      for (const name of SETTING_NAMES) {
        const order = [
          ["flag", flag],
          ["environment", environment],
          ["file", file],
        ] as const;
        const first = order.find(([, given]) => name in given);
        expect(origins[name]).toBe(first?.[0] ?? "default");
        expect(settings[name] as unknown).toEqual(first ? (first[1] as Record<string, unknown>)[name] : SETTINGS[name].fallback);
      }
    }),
  );
});

test("the environment is text and checked like the rest; empty is unset", () => {
  expect(parseEnvironment({ NOCTEM_MAX_TOKENS: "12", NOCTEM_STORE: "0", NOCTEM_MODEL: "", NOCTEM_OTHER: "x" })).toEqual({
    ok: true,
    value: { "max-tokens": 12, store: false },
  });
  const bad = parseEnvironment({ NOCTEM_TEMPERATURE: "hot" });
  expect(!bad.ok && settingsErrorText(bad.error).text).toBe('NOCTEM_TEMPERATURE: temperature wants a number from 0 to 5, not "hot".');
  expect(environmentName("top-p")).toBe("NOCTEM_TOP_P");
});

test("a number that JSON cannot hold is not a number here either", () => {
  for (const text of ["Infinity", "NaN", "1e999", " "]) expect(parseSettingText("temperature", text, "x").ok).toBe(false);
  expect(parseSettingText("seed", "1e3", "x")).toEqual({ ok: true, value: 1000 });
});

test("flags are taken by name and nothing else is", () => {
  expect(flagSettings({ prompt: "x", store: false, temperature: 0 })).toEqual({ ok: true, value: { store: false, temperature: 0 } });
});

test("a setting is written and taken out again, the others stay in their order", () => {
  const text = withSetting({ seed: 1, store: false }, "temperature", 0.5);
  expect(JSON.parse(text)).toEqual({ seed: 1, store: false, temperature: 0.5 });
  const again = parseSettingsFile(text, FILE);
  expect(again.ok && withSetting(again.value, "temperature", undefined)).toBe('{\n  "seed": 1,\n  "store": false\n}\n');
});

describe("where a text stops being JSON", () => {
  test("agrees with the engine on what is JSON", () => {
    const near = fc.oneof(
      fc.json(),
      fc.json().chain((text) => fc.nat(text.length).map((at) => text.slice(0, at) + text.slice(at + 1))),
      fc.string(),
    );
    fc.assert(
      fc.property(near, (text) => {
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        expect({ text, valid: jsonErrorPlace(text) === null }).toEqual({ text, valid });
      }),
      { numRuns: 2000 },
    );
  });

  test("points at the first thing that is wrong", () => {
    expect(jsonErrorPlace('{"a": 1,}')).toEqual({ line: 1, column: 9 });
    expect(jsonErrorPlace('{"a": 1\n "b": 2}')).toEqual({ line: 2, column: 2 });
    expect(jsonErrorPlace('{"a": tru}')).toEqual({ line: 1, column: 7 });
    expect(jsonErrorPlace("{} x")).toEqual({ line: 1, column: 4 });
    expect(jsonErrorPlace('{"a": "x')).toEqual({ line: 1, column: 7 });
    expect(jsonErrorPlace("[".repeat(100_000))).not.toBeNull();
  });
});
