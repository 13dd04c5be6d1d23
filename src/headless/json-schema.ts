import { err, ok, type Result } from "../lib/result.ts";

/**
 * The part of JSON Schema that the grammar of the engine can enforce, and a strict check of the answer against the same
 * schema. A keyword outside it is refused: accepting `pattern` without enforcing it would be a promise nobody keeps.
 *
 * The grammar is not trusted to be enough: an answer cut off by a limit is not JSON, `integer` lets `7E147` through, and
 * alternatives of `oneOf` may overlap.
 */
export interface AnswerSchema {
  /** For the engine: comments gone, `anyOf` as `oneOf`, one way to say each thing. */
  readonly grammar: unknown;
  /** Parses and checks; the error is one clause with the place. */
  check(text: string): Result<unknown, string>;
}

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Node = { readonly [key: string]: Json };

const REMARKS = new Set([
  "$schema",
  "$id",
  "$comment",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
]);
const SCALARS = ["string", "number", "integer", "boolean", "null"];
const FORMATS: Readonly<Record<string, RegExp>> = {
  date: /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/u,
  time: /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/iu,
  "date-time":
    /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/iu,
};
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  string: ["minLength", "maxLength", "format"],
  object: ["properties", "required", "additionalProperties", "minProperties", "maxProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
};
/** Deeper schemas are refused, deeper answers cannot match: recursion has a bound. */
const MAX_DEPTH = 32;

/** The error is a sentence that names the keyword and its place. */
export function compileSchema(source: unknown): Result<AnswerSchema, string> {
  const compiled = compile(source as Json, "#", 0, definitionsOf(source as Json));
  if (!compiled.ok) return compiled;
  const defs = definitionsOf(source as Json);
  const grammar = Object.keys(defs).length === 0 ? compiled.value : compileDefinitions(defs, compiled.value);
  if (grammar instanceof Error) return err(grammar.message);
  return ok({
    grammar,
    check: (text) => {
      const value = parse(text.trim());
      if (value === undefined) return err("it is not JSON");
      const problem = mismatch(value, source as Node, "$", defs, 0);
      return problem === null ? ok(value) : err(problem);
    },
  });
}

const isNode = (value: Json | undefined): value is Node => typeof value === "object" && value !== null && !Array.isArray(value);
const isScalarName = (value: Json): boolean => typeof value === "string" && SCALARS.includes(value);
const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);
const definitionsOf = (source: Json): Node => (isNode(source) && isNode(source["$defs"]) ? source["$defs"] : {});

function compileDefinitions(defs: Node, body: Node): Node | Error {
  const compiled: Record<string, Json> = {};
  for (const [name, def] of Object.entries(defs)) {
    const one = compile(def, `#/$defs/${name}`, 1, defs);
    if (!one.ok) return new Error(one.error);
    compiled[name] = one.value;
  }
  return { ...body, $defs: compiled };
}

function compile(schema: Json, at: string, depth: number, defs: Node): Result<Node, string> {
  if (depth > MAX_DEPTH) return err(`The schema is nested more than ${MAX_DEPTH} deep at ${at}.`);
  if (!isNode(schema)) return err(`The schema at ${at} is not an object.`);
  const keys = Object.keys(schema).filter((key) => !REMARKS.has(key) && key !== "$defs");
  const only = (allowed: readonly string[]): string | null => {
    const other = keys.find((key) => !allowed.includes(key));
    return other === undefined ? null : `The schema uses "${other}" at ${at}, which answers cannot be held to. ${supported()}`;
  };
  if ("$ref" in schema) return compileRef(schema, at, only(["$ref"]), defs);
  for (const key of ["oneOf", "anyOf"]) if (key in schema) return compileAlternatives(schema, key, at, depth, only([key]), defs);
  if ("const" in schema) return compileValues([schema["const"] ?? null], at, only(["const", "type"]), schema);
  if ("enum" in schema) return compileValues(isList(schema["enum"]) ? schema["enum"] : [], at, only(["enum", "type"]), schema);
  const type = schema["type"];
  if (isList(type)) {
    if (type.length === 0 || !type.every(isScalarName))
      return err(`The schema at ${at} lists types other than ${SCALARS.join(", ")}; write objects and arrays as alternatives of "anyOf".`);
    const extra = only(["type"]);
    return extra ? err(extra) : ok({ type: [...new Set(type)] });
  }
  if (typeof type !== "string" || ![...SCALARS, "object", "array"].includes(type))
    return err(`The schema at ${at} needs "type", "enum", "const", "anyOf", "oneOf" or "$ref".`);
  const extra = only(["type", ...(KEYWORDS[type] ?? [])]);
  if (extra) return err(extra);
  if (type === "object") return compileObject(schema, at, depth, defs);
  if (type === "array") return compileArray(schema, at, depth, defs);
  return type === "string" ? compileString(schema, at) : ok({ type });
}

const supported = (): string =>
  'Supported are type, enum, const, anyOf, oneOf, $ref to "#/$defs/…", properties, required, additionalProperties, items, prefixItems, minItems, maxItems, minProperties, maxProperties, minLength, maxLength and the formats date, time, date-time.';

function compileRef(schema: Node, at: string, extra: string | null, defs: Node): Result<Node, string> {
  if (extra) return err(extra);
  const name = refName(schema["$ref"]);
  if (name === null || !Object.hasOwn(defs, name)) return err(`The "$ref" at ${at} names nothing in the schema's "$defs".`);
  return ok({ $ref: `#/$defs/${name}` });
}

const refName = (ref: Json | undefined): string | null => (typeof ref === "string" && ref.startsWith("#/$defs/") ? ref.slice(8) : null);

function compileAlternatives(schema: Node, key: string, at: string, depth: number, extra: string | null, defs: Node): Result<Node, string> {
  const list = schema[key];
  if (extra) return err(extra);
  if (!isList(list) || list.length === 0) return err(`"${key}" at ${at} is not a list of schemas.`);
  const compiled: Node[] = [];
  for (const [index, one] of list.entries()) {
    const result = compile(one, `${at}/${key}/${index}`, depth + 1, defs);
    if (!result.ok) return result;
    compiled.push(result.value);
  }
  return ok({ oneOf: compiled });
}

function compileValues(values: readonly Json[], at: string, extra: string | null, schema: Node): Result<Node, string> {
  if (extra) return err(extra);
  if (values.length === 0 || values.some((value) => typeof value === "object" && value !== null))
    return err(`The schema at ${at} may list texts, numbers, true, false and null only.`);
  const type = schema["type"];
  const fitting = type === undefined ? values : values.filter((value) => hasType(value, type));
  return fitting.length === 0 ? err(`No value listed at ${at} has the type that stands beside it.`) : ok({ enum: fitting });
}

function compileObject(schema: Node, at: string, depth: number, defs: Node): Result<Node, string> {
  const properties: Record<string, Json> = {};
  const given = schema["properties"] ?? {};
  const { required = [], additionalProperties } = schema;
  if (!isNode(given)) return err(`"properties" at ${at} is not an object.`);
  for (const [name, one] of Object.entries(given)) {
    const result = compile(one, `${at}/properties/${name}`, depth + 1, defs);
    if (!result.ok) return result;
    properties[name] = result.value;
  }
  if (!isList(required) || !required.every((name) => typeof name === "string" && Object.hasOwn(given, name)))
    return err(`"required" at ${at} names something that is not among the properties.`);
  let more: Json = false;
  if (typeof additionalProperties === "boolean") more = additionalProperties;
  else if (additionalProperties !== undefined) {
    const result = compile(additionalProperties, `${at}/additionalProperties`, depth + 1, defs);
    if (!result.ok) return result;
    more = result.value;
  }
  const bounds = counts(schema, ["minProperties", "maxProperties"], at);
  return bounds.ok ? ok({ type: "object", properties, additionalProperties: more, ...bounds.value }) : bounds;
}

function compileArray(schema: Node, at: string, depth: number, defs: Node): Result<Node, string> {
  const compiled: Record<string, Json> = { type: "array" };
  if (schema["items"] !== undefined) {
    const result = compile(schema["items"], `${at}/items`, depth + 1, defs);
    if (!result.ok) return result;
    compiled["items"] = result.value;
  }
  const { prefixItems } = schema;
  if (prefixItems !== undefined) {
    if (!isList(prefixItems)) return err(`"prefixItems" at ${at} is not a list of schemas.`);
    const items: Json[] = [];
    for (const [index, one] of prefixItems.entries()) {
      const result = compile(one, `${at}/prefixItems/${index}`, depth + 1, defs);
      if (!result.ok) return result;
      items.push(result.value);
    }
    compiled["prefixItems"] = items;
  }
  const bounds = counts(schema, ["minItems", "maxItems"], at);
  return bounds.ok ? ok({ ...compiled, ...bounds.value }) : bounds;
}

function compileString(schema: Node, at: string): Result<Node, string> {
  const { format } = schema;
  const bounds = counts(schema, ["minLength", "maxLength"], at);
  if (!bounds.ok) return bounds;
  if (format === undefined) return ok({ type: "string", ...bounds.value });
  if (typeof format !== "string" || !Object.hasOwn(FORMATS, format))
    return err(`The format ${JSON.stringify(format)} at ${at} is not supported; date, time and date-time are.`);
  return Object.keys(bounds.value).length > 0
    ? err(`The schema at ${at} has a format and a length; answers can be held to one of them.`)
    : ok({ type: "string", format });
}

function counts(schema: Node, keys: readonly [min: string, max: string], at: string): Result<Record<string, number>, string> {
  const found: Record<string, number> = {};
  for (const key of keys) {
    const value = schema[key];
    if (value === undefined) continue;
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0) return err(`"${key}" at ${at} is not a whole number.`);
    found[key] = value;
  }
  const [min, max] = keys;
  if ((found[min] ?? 0) > (found[max] ?? Infinity)) return err(`"${min}" at ${at} is above "${max}".`);
  return ok(found);
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function hasType(value: Json, type: Json): boolean {
  if (isList(type)) return type.some((one) => hasType(value, one));
  if (typeof type !== "string") return false;
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return isNode(value);
    case "integer":
      return Number.isSafeInteger(value);
    default:
      return typeof value === type;
  }
}

const typeName = (type: Json): string =>
  isList(type) ? type.map(typeName).join(" or ") : typeof type === "string" ? type : "another kind";

/** The first way in which `value` misses `schema`, or null. `schema` compiled before, so its shape is known. */
function mismatch(value: Json, schema: Node, at: string, defs: Node, depth: number): string | null {
  if (depth > MAX_DEPTH) return `${at} is nested too deep`;
  const inner = (one: Json, sub: Json | undefined, where: string) => (isNode(sub) ? mismatch(one, sub, where, defs, depth + 1) : null);
  const name = refName(schema["$ref"]);
  if (name !== null) return inner(value, defs[name], at);
  for (const key of ["anyOf", "oneOf"]) {
    const list = schema[key];
    if (!isList(list)) continue;
    const fitting = list.filter((one) => inner(value, one, at) === null).length;
    if (fitting === 0) return `${at} fits none of the alternatives`;
    return key === "oneOf" && fitting > 1 ? `${at} fits ${fitting} alternatives of oneOf instead of one` : null;
  }
  if (schema["type"] !== undefined && !hasType(value, schema["type"])) return `${at} is not of type ${typeName(schema["type"])}`;
  if ("const" in schema && value !== schema["const"]) return `${at} is not ${JSON.stringify(schema["const"])}`;
  if (isList(schema["enum"]) && !schema["enum"].includes(value)) return `${at} is none of the listed values`;
  const between = (size: number, min: string, max: string, what: string): string | null =>
    size < Number(schema[min] ?? 0) || size > Number(schema[max] ?? Infinity) ? `${at} has ${size} ${what}` : null;
  if (typeof value === "string") {
    const format = typeof schema["format"] === "string" ? schema["format"] : "";
    if (FORMATS[format]?.test(value) === false) return `${at} is not a ${format}`;
    // JSON Schema counts code points, not what a reader sees as one character.
    return between(Array.from(value).length, "minLength", "maxLength", "characters");
  }
  if (isList(value)) {
    const prefix = isList(schema["prefixItems"]) ? schema["prefixItems"] : [];
    for (const [index, one] of value.entries()) {
      const problem = inner(one, index < prefix.length ? prefix[index] : schema["items"], `${at}[${index}]`);
      if (problem) return problem;
    }
    return between(value.length, "minItems", "maxItems", "items");
  }
  if (isNode(value)) {
    const properties = isNode(schema["properties"]) ? schema["properties"] : {};
    const missing = (isList(schema["required"]) ? schema["required"] : []).find(
      (key) => typeof key === "string" && !Object.hasOwn(value, key),
    );
    if (missing !== undefined) return `${at} lacks ${JSON.stringify(missing)}`;
    for (const [key, one] of Object.entries(value)) {
      const known = Object.hasOwn(properties, key);
      if (!known && schema["additionalProperties"] === false) return `${at} has ${JSON.stringify(key)}, which is not allowed`;
      const problem = inner(one, known ? properties[key] : schema["additionalProperties"], `${at}.${key}`);
      if (problem) return problem;
    }
    return between(Object.keys(value).length, "minProperties", "maxProperties", "properties");
  }
  return null;
}
