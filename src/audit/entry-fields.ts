import type * as v from "valibot";

/** The JSON text of a value that is what its schema says; null for another, or where only the schema itself can tell. */
export type FieldText = (value: unknown) => string | null;

/** Schemas whose values are looked at and written at once. */
const QUICK = new Map<unknown, FieldText>();

/** `text` says of each value what `schema` would, or null. */
export function quick<S extends v.GenericSchema>(schema: S, text: FieldText): S {
  QUICK.set(schema, text);
  return schema;
}

interface Field {
  readonly key: string;
  /** The key as it stands in the text. */
  readonly name: string;
  readonly isOptional: boolean;
  readonly text: FieldText;
}

type Entries = Readonly<Record<string, v.GenericSchema>>;

/**
 * One walk over an object that checks and writes it, in canonical form: null where it is not what `entries` say, or where this cannot tell. To parse what this
 * process itself has just made, and to write it after that, is a tenth of what a group of entries costs, most of it in code that is out of the
 * processor's caches after each sync. `other` is for schemas that are not quick.
 */
export function objectText(entries: Entries, other: (schema: v.GenericSchema, value: unknown) => string | null): FieldText {
  const fields = Object.keys(entries)
    .sort()
    .flatMap((key): readonly Field[] => {
      const schema = entries[key];
      if (schema === undefined) return [];
      const inner = isOptional(schema) ? schema.wrapped : schema;
      const text = QUICK.get(inner) ?? literalText(inner) ?? ((value: unknown) => other(inner, value));
      return [{ key, name: `${JSON.stringify(key)}:`, isOptional: inner !== schema, text }];
    });
  return (value) => {
    if (typeof value !== "object" || value === null) return null;
    const object = value as Readonly<Record<string, unknown>>;
    let text = "";
    let written = 0;
    for (const field of fields) {
      const found = object[field.key];
      if (found === undefined && field.isOptional) continue;
      const one = field.text(found);
      if (one === null) return null;
      text += (written++ === 0 ? "{" : ",") + field.name + one;
    }
    return Object.keys(object).length === written ? `${text}}` : null;
  };
}

function literalText(schema: v.GenericSchema): FieldText | null {
  if (!isLiteral(schema)) return null;
  const { literal } = schema;
  const text = JSON.stringify(literal);
  return (value) => (value === literal ? text : null);
}

const isLiteral = (schema: v.GenericSchema): schema is v.LiteralSchema<string | number, undefined> => schema.type === "literal";
const isOptional = (schema: v.GenericSchema): schema is v.OptionalSchema<v.GenericSchema, undefined> => schema.type === "optional";
