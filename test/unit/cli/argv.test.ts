import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseArgv } from "../../../src/cli/argv.ts";
import { CHAT_OPTIONS } from "../../../src/cli/chat.ts";
import { commandTree } from "../../../src/cli/tree.ts";
import { wantsHelp } from "../../../src/cli/words.ts";
import { SETTINGS } from "../../../src/config/settings.ts";

const root = commandTree();

async function parsed(...argv: string[]): Promise<unknown> {
  const result = await parseArgv(root, argv);
  return result.ok ? { [result.value.command.name]: result.value.args } : result.error;
}

describe("values", () => {
  test("whatever stands after an option is its value, letter for letter", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (text) => {
        expect(await parsed("-p", text)).toEqual({ noctem: { prompt: text } });
        expect(await parsed("--prompt", text)).toEqual({ noctem: { prompt: text } });
        expect(await parsed(`--prompt=${text}`)).toEqual({ noctem: { prompt: text } });
      }),
    );
  });

  test("those that look like something else", async () => {
    for (const text of ['"quoted"', "'quoted'", "- a list", "-1", "--help", "sessions", "1e3", "0x10", "true", "--", "a=b", "a\nb"])
      expect(await parsed("-p", text)).toEqual({ noctem: { prompt: text } });
    expect(await parsed("-pglued")).toEqual({ noctem: { prompt: "glued" } });
    expect(await parsed("-p=glued")).toEqual({ noctem: { prompt: "glued" } });
  });

  test("numbers are numbers, within their range", async () => {
    expect(await parsed("--temperature", "0.5", "--seed", "7")).toEqual({ noctem: { temperature: 0.5, seed: 7 } });
    expect(await parsed("--temperature", "warm")).toBe('--temperature wants a number from 0 to 5, not "warm".');
    expect(await parsed("--temperature", "-1")).toContain("from 0 to 5");
    expect(await parsed("--seed", "1.5")).toContain("a whole number");
    expect(await parsed("--seed", "")).toContain("a whole number");
    expect(await parsed("--seed", "NaN")).toContain("a whole number");
  });

  test("switches take no value; those that are on are turned off by --no-", async () => {
    expect(await parsed("--headless", "--no-store")).toEqual({ noctem: { headless: true, store: false } });
    expect(await parsed("--headless=yes")).toBe("--headless takes no value.");
    expect(await parsed("--no-headless")).toContain("There is no option --no-headless");
    expect(await parsed("--no-model")).toContain("only --model");
  });

  test("an option at the end without its value", async () => {
    expect(await parsed("-p")).toBe("-p needs a value: -p TEXT.");
  });

  test("choices", async () => {
    expect(await parsed("--output", "jsno")).toBe('--output is one of text, json, stream-json, not "jsno". Did you mean "json"?');
    expect(await parsed("completions", "tcsh")).toContain("SHELL is one of bash, zsh, fish");
  });
});

describe("slips", () => {
  const slips: readonly (readonly [argv: string, part: string])[] = [
    ["--promt x", "There is no option --promt. Did you mean --prompt?"],
    ["--nostore", "Did you mean --no-store?"],
    ["--hlep", "Did you mean --help?"],
    ["--zzz", 'See "noctem --help".'],
    ["-x", "There is no option -x."],
    ["--__proto__ x", "There is no option --__proto__."],
    ["--constructor", "There is no option --constructor."],
    ["--a.b=1", "There is no option --a.b."],
    ["sesions", 'Did you mean "noctem sessions"?'],
    ["hello", 'To ask the model something: noctem -p "…".'],
    ["sessions lst", 'Did you mean "noctem sessions list"?'],
    ["sessions", '"noctem sessions" needs one of: list, show, export, delete.'],
    ["sessions list --jsn", 'There is no option --jsn for "noctem sessions list". Did you mean --json?'],
    ["sessions list extra", 'does not know what to do with "extra"'],
    ["sessions show", '"noctem sessions show" needs ID'],
    ["config set temperature", "needs VALUE"],
    ["-p x sessions list", 'There is no option -p for "noctem sessions list"'],
    ["-- x", 'There is no command "x".'],
  ];
  for (const [argv, part] of slips)
    test(argv, async () => {
      const error = await parsed(...argv.split(" "));
      expect(error).toBeString();
      expect(error).toContain(part);
    });

  test("whatever is typed gives a command or one line", async () => {
    const word = fc.oneof(
      fc.constantFrom("-p", "--json", "sessions", "list", "config", "set", "--", "-", "--no-store", "--=x", "-=", "=", ""),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (argv) => {
        const result = await parseArgv(root, argv);
        if (!result.ok) expect(result.error.length).toBeLessThan(400);
      }),
      { numRuns: 300 },
    );
  });
});

test("options may stand before and between the names of commands", async () => {
  for (const argv of [
    ["sessions", "list", "--json"],
    ["sessions", "--json", "list"],
    ["--json", "sessions", "list"],
  ])
    expect(await parsed(...argv)).toEqual({ list: { json: true } });
});

test("help is asked for by a word of its own, not by a value", () => {
  expect(wantsHelp(root, ["--help"])).toBe(true);
  expect(wantsHelp(root, ["sessions", "show", "-h"])).toBe(true);
  expect(wantsHelp(root, ["--nonsense", "-h"])).toBe(true);
  expect(wantsHelp(root, ["-p", "--help"])).toBe(false);
  expect(wantsHelp(root, ["--", "--help"])).toBe(false);
});

test("a flag that is a setting too allows what the setting allows", () => {
  for (const [name, spec] of Object.entries(CHAT_OPTIONS)) {
    if (!(name in SETTINGS)) continue;
    const { schema } = SETTINGS[name as keyof typeof SETTINGS];
    if (spec.type === "number") expect(schema.type).toBe("number");
    if ("choices" in spec) expect(schema).toMatchObject({ type: "picklist", options: [...spec.choices] });
    if ("range" in spec) {
      const bounds = "pipe" in schema ? (schema.pipe as readonly { readonly type: string; readonly requirement?: unknown }[]) : [];
      const of = (type: string) => bounds.find((part) => part.type === type)?.requirement;
      if (of("min_value") !== undefined)
        expect({ name, min: of("min_value"), max: of("max_value") }).toEqual({ name, min: spec.range.min, max: spec.range.max });
    }
  }
});
