import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { grammarSchema } from "../../../src/engine/json-schema.ts";

const converted = (schema: unknown): unknown => {
  const result = grammarSchema(schema);
  return result.ok ? result.value : result.error;
};

describe("grammarSchema", () => {
  test("keeps shape and drops what only describes or narrows", () => {
    expect(
      converted({
        $schema: "https://json-schema.org/draft/2020-12/schema",
        title: "Person",
        type: "object",
        properties: {
          name: { type: "string", minLength: 1, pattern: "^[A-Z]" },
          age: { type: "integer", minimum: 0 },
          born: { type: "string", format: "date" },
        },
        required: ["name"],
        additionalProperties: false,
      }),
    ).toEqual({
      type: "object",
      properties: { name: { type: "string", minLength: 1 }, age: { type: "integer" }, born: { type: "string", format: "date" } },
      additionalProperties: false,
    });
  });

  test("what node-llama-cpp would silently turn into null is refused, with its place", () => {
    expect(converted({})).toBe('#: a "type" is missing');
    expect(converted({ type: "object", properties: { a: {} } })).toBe('#/properties/a: a "type" is missing');
    expect(converted({ type: "array", items: { not: { type: "null" } } })).toBe('#/items: "not" cannot be enforced');
    expect(converted({ allOf: [{ type: "null" }] })).toBe('#: "allOf" cannot be enforced');
    expect(converted({ $ref: "https://elsewhere/schema" })).toBe('#: "$ref" can only name an entry of "$defs"');
    expect(converted({ enum: [{}] })).toContain("literals");
    expect(converted({ type: "object", properties: {}, required: ["b"] })).toContain('"b"');
    for (const schema of [null, 3, "x", [], true]) expect(converted(schema)).toBe("#: a schema is an object");
  });

  test("anyOf, type lists and definitions become what the grammar knows", () => {
    expect(converted({ anyOf: [{ type: "string" }, { const: null }] })).toEqual({ oneOf: [{ type: "string" }, { const: null }] });
    expect(converted({ type: ["string", "null"] })).toEqual({ type: ["string", "null"] });
    expect(converted({ type: ["array", "null"], items: { type: "number" } })).toEqual({
      oneOf: [{ type: "array", items: { type: "number" } }, { type: "null" }],
    });
    expect(converted({ definitions: { n: { type: "number" } }, type: "array", items: { $ref: "#/definitions/n" } })).toEqual({
      type: "array",
      items: { $ref: "#/$defs/n" },
      $defs: { n: { type: "number" } },
    });
  });

  test("an object without properties is a map", () => {
    expect(converted({ type: "object" })).toEqual({ type: "object", properties: {}, additionalProperties: true });
  });

  test("is bounded, and total over anything", () => {
    let deep: unknown = { type: "null" };
    for (let depth = 0; depth < 100; depth++) deep = { type: "array", items: deep };
    expect(converted(deep)).toContain("too large");
    fc.assert(
      fc.property(fc.anything(), (schema) => {
        expect(typeof grammarSchema(schema).ok).toBe("boolean");
      }),
    );
  });
});
