/**
 * What a grammar can enforce of a JSON Schema. node-llama-cpp turns what it does not know into "null" without a word, so a schema is walked here first.
 *
 * Shape is enforced: objects, arrays, choices, literals, types, lengths. Keywords that only narrow values (`minimum`, `pattern`, most formats) are left to whoever
 * validates the answer, as any narrower grammar would be a different language. Keywords that change the shape in ways a grammar cannot are refused.
 */
import { err, ok, type Result } from "../lib/result.ts";

type Fields = Readonly<Record<string, unknown>>;

const MAX_DEPTH = 32;
const MAX_NODES = 2000;
/** The grammar of a list grows with every value, and its compilation faster: 300 took 2.8 s, 1,000 took 4 s. */
const MAX_VALUES = 256;

const REFUSED = [
  "allOf",
  "not",
  "if",
  "then",
  "else",
  "patternProperties",
  "propertyNames",
  "dependentSchemas",
  "dependentRequired",
  "dependencies",
  "unevaluatedProperties",
  "unevaluatedItems",
  "contains",
  "$dynamicRef",
  "$recursiveRef",
] as const;
const SCALARS = ["string", "number", "integer", "boolean", "null"];
const FORMATS = ["date-time", "time", "date"];

/** The schema in the dialect of node-llama-cpp's grammars; the error is one line that names the place and the keyword. */
export function grammarSchema(schema: unknown): Result<Fields, string> {
  let nodes = 0;
  try {
    return ok(convert(schema, "#", 0));
  } catch (error) {
    if (error instanceof Unsupported) return err(error.message);
    throw error;
  }

  function convert(value: unknown, place: string, depth: number): Fields {
    if (!isFields(value)) throw new Unsupported(`${place}: a schema is an object`);
    if (depth > MAX_DEPTH || ++nodes > MAX_NODES) throw new Unsupported(`${place}: the schema is too large`);
    const refused = REFUSED.find((keyword) => keyword in value);
    if (refused !== undefined) throw new Unsupported(`${place}: "${refused}" cannot be enforced`);
    const defs = definitions(value, place, depth);
    if (typeof value["$ref"] === "string") {
      const name = /^#\/(?:\$defs|definitions)\/([^/]+)$/.exec(value["$ref"])?.[1];
      if (name === undefined) throw new Unsupported(`${place}: "$ref" can only name an entry of "$defs"`);
      return { $ref: `#/$defs/${name}`, ...defs };
    }
    // Whatever satisfies exactly one member satisfies any.
    const choices = value["oneOf"] ?? value["anyOf"];
    if (choices !== undefined) {
      if (!Array.isArray(choices) || choices.length === 0) throw new Unsupported(`${place}: a choice needs members`);
      return { oneOf: choices.map((choice, index) => convert(choice, `${place}/oneOf/${index}`, depth + 1)), ...defs };
    }
    if ("const" in value) return { const: literal(value["const"], place) };
    if ("enum" in value) {
      if (!Array.isArray(value["enum"]) || value["enum"].length === 0) throw new Unsupported(`${place}: "enum" needs values`);
      if (value["enum"].length > MAX_VALUES) throw new Unsupported(`${place}: "enum" lists more than ${MAX_VALUES} values`);
      return { enum: value["enum"].map((item) => literal(item, place)) };
    }
    return byType(value, place, depth, defs);
  }

  function byType(value: Fields, place: string, depth: number, defs: Fields): Fields {
    const type = value["type"] ?? ("properties" in value ? "object" : "items" in value || "prefixItems" in value ? "array" : undefined);
    if (Array.isArray(type)) {
      if (type.every((name) => SCALARS.includes(String(name)))) return { type };
      return { oneOf: type.map((name) => convert({ ...value, type: name }, place, depth + 1)), ...defs };
    }
    if (type === "object") return { type, ...object(value, place, depth), ...bounds(value, ["minProperties", "maxProperties"]), ...defs };
    if (type === "array") return { type, ...array(value, place, depth), ...bounds(value, ["minItems", "maxItems"]), ...defs };
    if (type === "string") {
      const format = value["format"];
      return FORMATS.includes(String(format)) ? { type, format } : { type, ...bounds(value, ["minLength", "maxLength"]) };
    }
    if (typeof type === "string" && SCALARS.includes(type)) return { type };
    throw new Unsupported(`${place}: ${type === undefined ? 'a "type" is missing' : `the type ${JSON.stringify(type)} is unknown`}`);
  }

  function object(value: Fields, place: string, depth: number): Fields {
    const properties = value["properties"] ?? {};
    const more = value["additionalProperties"];
    if (!isFields(properties)) throw new Unsupported(`${place}: "properties" is an object`);
    const names = Object.keys(properties);
    const missing = Array.isArray(value["required"]) ? value["required"].find((name) => !names.includes(String(name))) : undefined;
    if (missing !== undefined)
      throw new Unsupported(`${place}: "required" names "${String(missing)}", which "properties" does not describe`);
    return {
      properties: Object.fromEntries(names.map((name) => [name, convert(properties[name], `${place}/properties/${name}`, depth + 1)])),
      // Without any property named, the object is a map; where properties are named nothing else is invented.
      ...(more === undefined || typeof more === "boolean"
        ? { additionalProperties: more === true || (more === undefined && names.length === 0) }
        : { additionalProperties: convert(more, `${place}/additionalProperties`, depth + 1) }),
    };
  }

  function array(value: Fields, place: string, depth: number): Fields {
    const { items, prefixItems } = value;
    return {
      ...(items === undefined || typeof items === "boolean" ? {} : { items: convert(items, `${place}/items`, depth + 1) }),
      ...(Array.isArray(prefixItems)
        ? { prefixItems: prefixItems.map((item, index) => convert(item, `${place}/prefixItems/${index}`, depth + 1)) }
        : {}),
    };
  }

  function definitions(value: Fields, place: string, depth: number): Fields {
    const defs = value["$defs"] ?? value["definitions"];
    if (!isFields(defs)) return {};
    return {
      $defs: Object.fromEntries(Object.entries(defs).map(([name, def]) => [name, convert(def, `${place}/$defs/${name}`, depth + 1)])),
    };
  }
}

class Unsupported extends Error {}

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

function literal(value: unknown, place: string): string | number | boolean | null {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  throw new Unsupported(`${place}: only text, numbers, true, false and null can be literals`);
}

function bounds(value: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(
    names.flatMap((name) => {
      const bound = value[name];
      return typeof bound === "number" && Number.isInteger(bound) && bound >= 0 ? [[name, bound]] : [];
    }),
  );
}
