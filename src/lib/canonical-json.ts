/**
 * JSON Canonicalization Scheme (RFC 8785): one text for one value, so that hashes and MACs over it are stable.
 *
 * ECMAScript's own number and string serialisation is the one RFC 8785 prescribes, and `Array.prototype.sort` orders
 * strings by UTF-16 code units as it demands; what is left is to sort keys and to refuse what has no canonical form.
 */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Deeper nesting than this is a bug or an attack; nothing in Noctem nests beyond ten. */
const MAX_DEPTH = 64;

/**
 * Throws `TypeError` on a lone surrogate, a number that is not finite, a missing value, or an object that is not plain:
 * text from outside is made well-formed where it enters, so reaching the throw is a bug.
 */
export function canonicalJson(value: Json): string {
  return write(value, 0);
}

function write(value: Json, depth: number): string {
  if (depth > MAX_DEPTH) throw new TypeError("canonical JSON: nested too deeply");
  if (value === null) return "null";
  if (typeof value === "string") return text(value);
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`canonical JSON: ${value} has no form`);
    return JSON.stringify(value);
  }
  // The types forbid the rest; a value that came through a cast still must not become text that no reader understands.
  if (typeof value !== "object") throw new TypeError(`canonical JSON: a ${typeof value} has no form`);
  return isArray(value) ? list(value, depth) : object(value, depth);
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new TypeError("canonical JSON: lone surrogate");
  return JSON.stringify(value);
}

function list(values: readonly Json[], depth: number): string {
  let out = "[";
  // By index, not `map`: holes are then visited and refused instead of being skipped.
  for (let i = 0; i < values.length; i++) out += (i === 0 ? "" : ",") + write(values[i] as Json, depth + 1);
  return out + "]";
}

function object(value: { readonly [key: string]: Json }, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError("canonical JSON: not a plain object");
  let out = "{";
  for (const key of Object.keys(value).sort()) {
    out += (out === "{" ? "" : ",") + text(key) + ":" + write(value[key] as Json, depth + 1);
  }
  return out + "}";
}

/** `Array.isArray` does not narrow readonly arrays. */
const isArray = (value: object): value is readonly Json[] => Array.isArray(value);
