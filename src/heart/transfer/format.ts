import * as v from "valibot";
import { ENTRY_KINDS } from "../entries.ts";
import { MESSAGE_PARTS } from "../rows.ts";

/**
 * An export: JSON Lines in UTF-8 that any program can read. The first line is the header, the last one says how many stand between, so that
 * a file that was cut off is noticed. Times are ISO 8601 in UTC, ids hex digits. Nothing in it is secret beyond what a person wrote: no keys,
 * no seals, nothing of how copies merge. Docs: docs/design/0011-heart-export.md.
 */
export const FORMAT = "noctem-export";
export const FORMAT_VERSION = 1;

const id = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, "an id is 32 hex digits"));
const TIME = "a time looks like 2026-11-23T14:05:00.000Z";
const time = v.pipe(
  v.string(),
  v.isoTimestamp(TIME),
  v.check((text) => Number.isFinite(Date.parse(text)), TIME),
);
const level = v.picklist([0, 1, 2, 3, 4]);
const text = v.string();
const key = v.pipe(v.string(), v.minLength(1), v.maxLength(256));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const label = v.strictObject({ c: level, k: v.array(v.string()), i: level, p: v.array(v.string()) });
/** An attribute of a task: its value, when it was written, and the label of what it was learned from. */
const attribute = v.strictObject({ value: v.unknown(), at: time, label });

export const HeaderLine = v.strictObject({
  type: v.literal("header"),
  format: v.literal(FORMAT),
  version: count,
  heart: id,
  replica: id,
  at: time,
  /** False where the keys were missing and nothing could be checked. */
  checked: v.boolean(),
});

export const DataLine = v.variant("type", [
  v.strictObject({
    type: v.literal("message"),
    id,
    session: id,
    parent: v.nullable(id),
    at: time,
    role: MESSAGE_PARTS.role,
    origin: MESSAGE_PARTS.origin,
    label,
    spans: MESSAGE_PARTS.spans,
    reply: v.nullable(MESSAGE_PARTS.reply),
    redacted: v.boolean(),
  }),
  /** The take of a conversation that a person picked. */
  v.strictObject({ type: v.literal("shown"), session: id, message: id, at: time }),
  v.strictObject({ type: v.literal("task"), id, at: time, attributes: v.record(v.pipe(v.string(), v.regex(/^[a-z]{1,32}$/)), attribute) }),
  v.strictObject({ type: v.literal("memory"), key, text, at: time, label }),
  v.strictObject({ type: v.literal("state"), key: text, value: text, at: time, label }),
  v.strictObject({
    type: v.literal("incident"),
    kind: v.pipe(v.string(), v.minLength(1), v.maxLength(256)),
    severity: level,
    count: v.pipe(count, v.minValue(1)),
    at: time,
    detail: v.nullable(text),
    acknowledged: count,
  }),
  v.strictObject({
    type: v.literal("entry"),
    id,
    kind: v.picklist(ENTRY_KINDS),
    ref: v.nullable(v.pipe(v.string(), v.regex(/^([0-9a-f]{2})+$/))),
    at: time,
    label,
    body: v.nullable(text),
  }),
]);

/** `lines`: of data. `leftOut`: rows that were not what was written, and are not in the file. */
export const EndLine = v.strictObject({ type: v.literal("end"), lines: count, leftOut: count });

export type HeaderLine = v.InferOutput<typeof HeaderLine>;
export type DataLine = v.InferOutput<typeof DataLine>;
export type EndLine = v.InferOutput<typeof EndLine>;
export type LineOf<T extends DataLine["type"]> = Extract<DataLine, { readonly type: T }>;
