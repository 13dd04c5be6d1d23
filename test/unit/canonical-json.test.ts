import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { canonicalJson, type Json } from "../../src/lib/canonical-json.ts";

const text = fc.string({ unit: "binary" });
const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value")),
    fc.dictionary(text, tie("value")),
  ),
})).value;

describe("canonical JSON (RFC 8785)", () => {
  test("the example of the RFC", () => {
    const value = {
      // Digits beyond a double's, as in the RFC, but read at run time: the parser rounds them.
      numbers: [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '€$\u000f\nA\'B"\\\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  test("keys are ordered by UTF-16 code units", () => {
    const value = { "€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\u0080": 6, ö: 7 };
    expect(Object.values(JSON.parse(canonicalJson(value)) as object)).toHaveLength(7);
    expect(canonicalJson(value)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}');
  });

  test("it is JSON of the same value, and a fixed point", () => {
    fc.assert(
      fc.property(json, (value) => {
        const canonical = canonicalJson(value);
        const back = JSON.parse(canonical) as Json;
        expect(JSON.stringify(sorted(back))).toBe(JSON.stringify(sorted(JSON.parse(JSON.stringify(value)) as Json)));
        expect(canonicalJson(back)).toBe(canonical);
      }),
    );
  });

  test("what has no canonical form is refused", () => {
    const circle: Record<string, unknown> = {};
    circle["circle"] = circle;
    const refused = ["\ud800", { "\udc00": 1 }, NaN, Infinity, undefined, [undefined], Array(1), new Date(0), new Map(), 1n, circle];
    for (const value of refused) expect(() => canonicalJson(value as Json)).toThrow(TypeError);
  });
});

function sorted(value: Json): Json {
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? 0 : value;
  if (Array.isArray(value)) return value.map((item: Json) => sorted(item));
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}
