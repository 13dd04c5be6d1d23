import * as v from "valibot";
import { LONGEST_ADDRESS } from "./address.ts";

/** What passes between the host and the process that fetches: one line of JSON in, one line out. */

/** Characters of a page that are handed over at once, and that a page may have. */
export const MOST_PART = 100_000;
export const MOST_TEXT = 2_000_000;
/** Characters of a robots.txt that the host keeps for later hops of the run; a longer one is asked for again. */
export const MOST_RULES = 64_000;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const address = v.pipe(v.string(), v.maxLength(LONGEST_ADDRESS));
const line = v.pipe(v.string(), v.maxLength(300));

export const FetchRequestSchema = v.strictObject({
  url: address,
  /** Which part of the page's text, in characters. */
  from: count,
  length: v.pipe(count, v.minValue(1), v.maxValue(MOST_PART)),
  /** Whether the site's robots.txt has to be read first; not where the host knows it from an earlier hop of this run. */
  askRobots: v.boolean(),
});
export type FetchRequest = v.InferOutput<typeof FetchRequestSchema>;

/** Why there is no page. `fact` is a number, a type or a few words for the sentence; it may come from the server. */
const REFUSALS = [
  "bad-request",
  "bad-address",
  /** robots.txt asks programs not to read it. */
  "robots",
  /** robots.txt could not be had, which counts as a no (RFC 9309, 2.3.1.4). */
  "robots-unreachable",
  "unreachable",
  "time",
  /** An HTTP status other than success. */
  "status",
  /** No text. */
  "type",
  /** What the server sent cannot be unpacked. */
  "encoding",
  /** It sends us on, and does not say where to. */
  "nowhere",
] as const;
export type Refusal = (typeof REFUSALS)[number];

export const FetchReplySchema = v.variant("kind", [
  v.strictObject({
    kind: v.literal("page"),
    title: line,
    /** Without parameters. */
    type: line,
    text: v.pipe(v.string(), v.maxLength(MOST_PART)),
    from: count,
    /** Characters of the whole text. */
    total: count,
    /** The server had more than is read of a page, or the page more than is converted. */
    cut: v.boolean(),
    rules: v.nullable(v.pipe(v.string(), v.maxLength(MOST_RULES))),
  }),
  v.strictObject({ kind: v.literal("redirect"), to: address, rules: v.nullable(v.pipe(v.string(), v.maxLength(MOST_RULES))) }),
  v.strictObject({ kind: v.literal("refused"), why: v.picklist(REFUSALS), fact: line }),
]);
export type FetchReply = v.InferOutput<typeof FetchReplySchema>;

export const refused = (why: Refusal, fact = ""): FetchReply => ({ kind: "refused", why, fact: fact.slice(0, 300).toWellFormed() });

/** What the process printed. It has parsed a hostile page and may be anybody's by now: null for what is no reply. */
export function readReply(stdout: string): FetchReply | null {
  try {
    const parsed = v.safeParse(FetchReplySchema, JSON.parse(stdout));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

export function readRequest(stdin: string): FetchRequest | null {
  try {
    const parsed = v.safeParse(FetchRequestSchema, JSON.parse(stdin));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}
