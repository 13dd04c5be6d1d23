import * as v from "valibot";
import type { MessageId, SessionId } from "../lib/brand.ts";
import { canonicalJson } from "../lib/canonical-json.ts";
import { BOTTOM, type ConfidentialityLevel, type IntegrityLevel, type Label } from "../lib/label.ts";
import { CAGE_LEVELS } from "../lib/cage-level.ts";
import { ORIGINS, ROLES, SPAN_KINDS, STOP_REASONS, type Message, type ReplyFacts, type Span } from "../lib/message.ts";
import { millisOf, type Hlc } from "./hlc.ts";
import { equal, type RowMac } from "./mac.ts";
import type { HeartCrypto } from "./ports.ts";
import type { SqlRow, SqlValue } from "./sql.ts";

/** Between rows and messages: the columns a MAC covers, and what is believed of a row that was read. */

/** The columns of `message` that are merged and sealed, in the order of the table. */
export const MESSAGE_COLUMNS = [
  "id",
  "session",
  "parent",
  "hlc",
  "actor",
  "seq",
  "role",
  "origin",
  "label_c",
  "label_k",
  "label_i",
  "label_p",
  "reply",
  "body_hash",
] as const;

/** A message with its body, and whether a redaction names it. Subqueries, because a join costs six times as much in Bun (measured). */
export const SELECT_MESSAGE = `
select m.n, ${MESSAGE_COLUMNS.map((name) => `m.${name}`).join(", ")}, m.mac,
  (select salt from message_body b where b.n = m.n) as salt,
  (select body from message_body b where b.n = m.n) as body,
  exists (select 1 from redaction r where r.target = m.id) as forgotten
from message m`;

/** The columns of `cell` that are sealed, in the order of the table. */
const CELL_COLUMNS = ["ns", "k", "v", "hlc", "actor", "seq", "label_c", "label_k", "label_i", "label_p"] as const;
export const CELL = `select ${CELL_COLUMNS.join(", ")}, mac from cell where ns = ? and k = ?`;

export const cellColumns = (row: SqlRow): SqlValue[] => CELL_COLUMNS.map((name) => row[name] ?? null);

export const isSealedCell = (row: SqlRow, mac: RowMac | null): boolean =>
  mac === null || mac.verify("cell", cellColumns(row), row["mac"] ?? null);

export const sealedColumns = (row: SqlRow): SqlValue[] => MESSAGE_COLUMNS.map((name) => row[name] ?? null);

export interface ReadMessage {
  readonly message: Message;
  /** The row or its body is not what was written. The message is then shown empty, as if forgotten. */
  readonly damaged: boolean;
}

/** `mac` is null where the keys are missing: rows are then taken as they are; bodies are still held against their hash. */
export function readMessage(row: SqlRow, mac: RowMac | null, crypto: HeartCrypto): ReadMessage {
  const parsed = v.safeParse(MessageRow, row);
  if (!parsed.success) return { message: blank(row), damaged: true };
  const { output } = parsed;
  if (mac !== null && !mac.verify("message", sealedColumns(row), output.mac)) return { message: blank(row), damaged: true };
  const body = readBody(output, crypto);
  return {
    message: {
      id: output.id as MessageId,
      session: output.session as SessionId,
      parent: output.parent as MessageId | null,
      role: output.role,
      spans: body === "forgotten" || body === "damaged" ? [] : body,
      label: {
        c: output.label_c as ConfidentialityLevel,
        k: output.label_k,
        i: output.label_i as IntegrityLevel,
        p: output.label_p,
      },
      origin: output.origin,
      at: millisOf(output.hlc as Hlc),
      reply: output.reply,
      redacted: body === "forgotten" || body === "damaged",
    },
    damaged: body === "damaged",
  };
}

function readBody(row: v.InferOutput<typeof MessageRow>, crypto: HeartCrypto): readonly Span[] | "forgotten" | "damaged" {
  // A redaction wins even over a body that some tool put back.
  if (row.forgotten !== 0) return "forgotten";
  if (row.body === null || row.salt === null) return "damaged";
  if (!equal(bodyHash(row.salt, row.body, crypto), row.body_hash)) return "damaged";
  const spans = v.safeParse(Spans, parseJson(row.body));
  return spans.success ? spans.output : "damaged";
}

/** A row that cannot be believed: what identifies it, of no integrity, and without a word of what it claims to say. */
const blank = (row: SqlRow): Message => ({
  id: hexOf(row["id"]) as MessageId,
  session: hexOf(row["session"]) as SessionId,
  parent: row["parent"] instanceof Uint8Array ? (row["parent"].toHex() as MessageId) : null,
  role: v.is(Role, row["role"]) ? row["role"] : "user",
  spans: [],
  label: { c: 0, k: [], i: 0, p: [] },
  origin: v.is(Origin, row["origin"]) ? row["origin"] : "agent",
  at: millisOf((typeof row["hlc"] === "number" && row["hlc"] > 0 ? row["hlc"] : 0) as Hlc),
  reply: null,
  redacted: true,
});

const hexOf = (value: SqlValue | undefined): string => (value instanceof Uint8Array ? value.toHex() : "");

/** Spans as stored. Lone surrogates, which UTF-8 cannot carry, were replaced where the message entered. */
export const writeBody = (spans: readonly Span[]): string => canonicalJson(spans.map(({ kind, text }) => ({ kind, text })));

/** SHA-256 over salt and body. */
export function bodyHash(salt: Uint8Array, body: string, crypto: HeartCrypto): Uint8Array {
  const text = new TextEncoder().encode(body);
  const salted = new Uint8Array(salt.length + text.length);
  salted.set(salt);
  salted.set(text, salt.length);
  return crypto.sha256(salted);
}

export const writeReply = (reply: ReplyFacts | null): string | null => (reply === null ? null : canonicalJson(plainReply(reply)));

export const sortedSet = (values: readonly string[]): readonly string[] => [...new Set(values.map((s) => s.toWellFormed()))].sort();

type LabelColumns = readonly [number, string, number, string];
const columnsOf = (label: Label): LabelColumns => [label.c, canonicalJson(sortedSet(label.k)), label.i, canonicalJson(sortedSet(label.p))];
/** The label of most rows. */
const BOTTOM_COLUMNS = columnsOf(BOTTOM);
/** The four label columns, in order. */
export const labelColumns = (label: Label): LabelColumns => (label === BOTTOM ? BOTTOM_COLUMNS : columnsOf(label));

export const wellFormedSpans = (spans: readonly Span[]): readonly Span[] =>
  spans.map(({ kind, text }) => ({ kind, text: text.toWellFormed() }));

/**
 * Just the known facts, in a form that JSON has: a rate over zero milliseconds is a fact about the clock, and no reason to lose
 * the answer that it belongs to.
 */
export function plainReply(reply: ReplyFacts) {
  const { tokens, timings } = reply;
  return {
    model: reply.model.toWellFormed(),
    tier: reply.tier,
    reason: reply.reason.toWellFormed(),
    stop: reply.stop,
    seed: finite(reply.seed),
    tokens: {
      prompt: finite(tokens.prompt),
      cached: finite(tokens.cached),
      completion: finite(tokens.completion),
      reasoning: finite(tokens.reasoning),
    },
    timings: {
      firstTokenMs: finite(timings.firstTokenMs),
      promptMs: finite(timings.promptMs),
      generateMs: finite(timings.generateMs),
      tokensPerSecond: finite(timings.tokensPerSecond),
    },
    ...(reply.cage && { cage: reply.cage }),
  } satisfies ReplyFacts;
}

const finite = (value: number): number => (Number.isFinite(value) ? value : 0);

// Schemas of what stands in the file. A row's MAC says that we wrote it; these say that this version understands it.

const blob = v.custom<Uint8Array>((value) => value instanceof Uint8Array);
const bytes = (length: number) => v.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length);
const id = v.pipe(
  bytes(16),
  v.transform((b) => b.toHex()),
);
const natural = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const level = v.pipe(natural, v.maxValue(4));
const json = <T extends v.GenericSchema>(schema: T) =>
  v.pipe(
    v.string(),
    v.transform((text: string): unknown => parseJson(text)),
    schema,
  );
const strings = v.array(v.string());
const Role = v.picklist(ROLES);
const Origin = v.picklist(ORIGINS);
const Spans = v.array(v.strictObject({ kind: v.picklist(SPAN_KINDS), text: v.string() }));
const amount = v.pipe(v.number(), v.finite());
const Reply = v.strictObject({
  model: v.string(),
  tier: v.picklist(["quick", "task"]),
  reason: v.string(),
  stop: v.picklist(STOP_REASONS),
  seed: amount,
  tokens: v.strictObject({ prompt: amount, cached: amount, completion: amount, reasoning: amount }),
  timings: v.strictObject({ firstTokenMs: amount, promptMs: amount, generateMs: amount, tokensPerSecond: amount }),
  cage: v.exactOptional(v.picklist(CAGE_LEVELS)),
});
/** What a message consists of beside its ids, for whoever else has to parse one. */
export const MESSAGE_PARTS = { role: Role, origin: Origin, spans: Spans, reply: Reply } as const;
const MessageRow = v.object({
  n: natural,
  id,
  session: id,
  parent: v.nullable(id),
  hlc: natural,
  actor: natural,
  seq: natural,
  role: Role,
  origin: Origin,
  label_c: level,
  label_k: json(strings),
  label_i: level,
  label_p: json(strings),
  reply: v.nullable(json(Reply)),
  body_hash: bytes(32),
  mac: blob,
  salt: v.nullable(blob),
  body: v.nullable(v.string()),
  forgotten: v.number(),
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
