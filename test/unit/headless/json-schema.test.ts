import { describe, expect, test } from "bun:test";
import { compileSchema } from "../../../src/headless/json-schema.ts";

const compiled = (source: unknown) => {
  const result = compileSchema(source);
  if (!result.ok) throw new Error(result.error);
  return result.value;
};
const fits = (source: unknown, value: unknown): boolean => compiled(source).check(JSON.stringify(value)).ok;
const problem = (source: unknown, text: string): string => {
  const result = compiled(source).check(text);
  return result.ok ? "" : result.error;
};
const refusal = (source: unknown): string => {
  const result = compileSchema(source);
  return result.ok ? "" : result.error;
};

describe("what is accepted is checked by the letter", () => {
  const cases: readonly (readonly [name: string, schema: unknown, good: readonly unknown[], bad: readonly unknown[]])[] = [
    ["string", { type: "string", minLength: 2, maxLength: 3 }, ["ab", "abc", "👍👍"], ["a", "abcd", 1, null]],
    ["number", { type: "number" }, [1, -1.5, 1e21], ["1", null]],
    ["integer", { type: "integer" }, [0, -3], [1.5, 7e147]],
    ["boolean", { type: "boolean" }, [true, false], [0]],
    ["null", { type: "null" }, [null], [0, "null"]],
    ["several types", { type: ["string", "null"] }, ["a", null], [1]],
    ["const", { const: "yes" }, ["yes"], ["no"]],
    ["enum", { enum: ["a", 1, null] }, ["a", 1, null], ["b", "1"]],
    ["enum with a type", { type: "string", enum: ["a", "b"] }, ["a"], ["c"]],
    ["date", { type: "string", format: "date" }, ["2026-11-23"], ["2026-13-01", "23.11.2026"]],
    ["time", { type: "string", format: "time" }, ["23:59:00Z"], ["24:00:00Z", "23:59"]],
    ["date-time", { type: "string", format: "date-time" }, ["2026-11-23T10:00:00+01:00"], ["2026-11-23"]],
    ["array", { type: "array", items: { type: "integer" }, minItems: 1, maxItems: 2 }, [[1], [1, 2]], [[], [1, 2, 3], ["1"], {}]],
    ["tuple", { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }] }, [["a", 1]], [[1, "a"]]],
    [
      "object",
      { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false },
      [{ a: "x" }],
      [{}, { a: 1 }, { a: "x", b: 1 }, []],
    ],
    ["optional property", { type: "object", properties: { a: { type: "string" } } }, [{}, { a: "x" }], [{ a: 1 }]],
    ["map", { type: "object", additionalProperties: { type: "integer" }, minProperties: 1 }, [{ a: 1 }], [{}, { a: "1" }]],
    ["anyOf", { anyOf: [{ type: "integer" }, { type: "number" }] }, [1, 1.5], ["1"]],
    ["oneOf is exactly one", { oneOf: [{ type: "integer" }, { type: "number" }] }, [1.5], [1, "1"]],
    [
      "recursion",
      {
        $ref: "#/$defs/n",
        $defs: { n: { type: "object", properties: { next: { anyOf: [{ $ref: "#/$defs/n" }, { type: "null" }] } }, required: ["next"] } },
      },
      [{ next: { next: null } }],
      [{ next: { next: 1 } }],
    ],
  ];
  for (const [name, schema, good, bad] of cases) {
    test(name, () => {
      for (const value of good) expect({ value, fits: fits(schema, value) }).toEqual({ value, fits: true });
      for (const value of bad) expect({ value, fits: fits(schema, value) }).toEqual({ value, fits: false });
    });
  }

  test("a property called __proto__ or constructor is a property", () => {
    const schema = { type: "object", properties: { a: { type: "string" } }, additionalProperties: false };
    expect(problem(schema, '{"__proto__": 1}')).toContain("__proto__");
    expect(problem(schema, '{"constructor": 1}')).toContain("constructor");
  });

  test("space around the value is fine, words around it are not", () => {
    expect(problem({ type: "integer" }, " 4\n")).toBe("");
    expect(problem({ type: "integer" }, "It is 4")).toBe("it is not JSON");
    expect(problem({ type: "array", items: { type: "string" } }, '["a", 2]')).toBe("$[1] is not of type string");
  });
});

describe("what answers cannot be held to is refused by name", () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [{ type: "string", pattern: "a+" }, '"pattern" at #'],
    [{ type: "object", properties: { n: { type: "integer", minimum: 1 } } }, '"minimum" at #/properties/n'],
    [{ allOf: [{ type: "string" }] }, "needs"],
    [{ not: { type: "string" } }, "needs"],
    [{ type: "string", format: "email" }, "email"],
    [{ type: ["object", "null"] }, "anyOf"],
    [{ type: "array", items: { type: "any" } }, "#/items"],
    [{ enum: [{ a: 1 }] }, "texts, numbers"],
    [{ enum: [] }, "texts, numbers"],
    [{ type: "string", const: 1 }, "type"],
    [{ type: "object", properties: {}, required: ["a"] }, "required"],
    [{ type: "array", minItems: 3, maxItems: 2 }, "above"],
    [{ $ref: "#/$defs/x" }, "$ref"],
    [{ $ref: "https://example.org/schema.json" }, "$ref"],
    [[], "not an object"],
    [true, "not an object"],
    [null, "not an object"],
  ];
  for (const [schema, part] of cases) test(JSON.stringify(schema), () => expect(refusal(schema)).toContain(part));

  test("a schema nested without end", () => {
    let schema: unknown = { type: "string" };
    for (let depth = 0; depth < 100; depth++) schema = { type: "array", items: schema };
    expect(refusal(schema)).toContain("nested");
  });
});

test("the grammar gets one way to say each thing, without remarks", () => {
  const source = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "T",
    type: "object",
    properties: { a: { type: "string", enum: ["x"], description: "d" }, b: { anyOf: [{ const: 1 }, { type: "null" }] } },
    required: ["a"],
  };
  expect(compiled(source).grammar).toEqual({
    type: "object",
    properties: { a: { enum: ["x"] }, b: { oneOf: [{ enum: [1] }, { type: "null" }] } },
    additionalProperties: false,
  });
});
