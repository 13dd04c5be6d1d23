import type { Result } from "../lib/result.ts";
import { resolved, webAddress } from "./address.ts";
import { decodeText } from "./charset.ts";
import { contentType, isRedirect } from "./head.ts";
import type { Markdown } from "./markdown.ts";
import { plainText } from "./plain.ts";
import { type FetchReply, type FetchRequest, MOST_RULES, MOST_TEXT, refused, type Refusal } from "./protocol.ts";
import { mayRead, MOST_ROBOTS, robotsOf } from "./robots.ts";

/** One request without following anything: the wire of a hop. */
export interface Wire {
  get(url: string): Promise<Result<Answer, WireFailure>>;
}
export interface Answer extends Disposable {
  readonly status: number;
  header(name: string): string | null;
  /** Unpacked, and no more of it than `limit` bytes: `cut` says that there was more. */
  body(limit: number): Promise<Result<{ readonly bytes: Uint8Array; readonly cut: boolean }, WireFailure>>;
}
export interface WireFailure {
  readonly why: Extract<Refusal, "unreachable" | "time" | "encoding">;
  /** A few words. */
  readonly fact: string;
}

/** Bytes of a page that are read. */
const MOST_BYTES = 3_000_000;
/** RFC 9309, 2.3.1.2. */
const MOST_ROBOTS_REDIRECTS = 5;

/**
 * One hop: what the site's robots.txt says, and then the page. A redirect is an answer and is not followed: whether it may be is the monitor's to say, and
 * this process can reach one host alone.
 */
export async function hop(request: FetchRequest, wire: Wire): Promise<FetchReply> {
  const address = webAddress(request.url);
  if (!address.ok) return refused("bad-address", address.error);
  const { href } = address.value;
  const rules = request.askRobots ? await robotsRules(href, wire) : null;
  if (rules !== null && typeof rules !== "string") return rules;
  if (rules !== null && !mayRead(href, rules)) return refused("robots");
  const kept = rules !== null && rules.length <= MOST_RULES ? rules : null;
  const got = await wire.get(href);
  if (!got.ok) return refused(got.error.why, got.error.fact);
  using answer = got.value;
  if (isRedirect(answer.status)) {
    const to = resolved(answer.header("location") ?? "", href);
    return to === null || answer.header("location") === null ? refused("nowhere") : { kind: "redirect", to, rules: kept };
  }
  if (answer.status < 200 || answer.status > 299) return refused("status", String(answer.status));
  const { type, charset, reading } = contentType(answer.header("content-type"));
  if (reading === null) return refused("type", `${type}${sizeOf(answer)}`);
  const body = await answer.body(MOST_BYTES);
  if (!body.ok) return refused(body.error.why, body.error.fact);
  const { title, text, cut, leadsTo } = await readPage(decodeText(body.value.bytes, charset), reading, href);
  if (leadsTo !== null) return { kind: "redirect", to: leadsTo, rules: kept };
  const whole = text.length <= MOST_TEXT ? text : text.slice(0, MOST_TEXT).toWellFormed();
  return {
    kind: "page",
    title,
    type,
    text: whole.slice(request.from, request.from + request.length).toWellFormed(),
    from: request.from,
    total: whole.length,
    cut: cut || body.value.cut || whole.length < text.length,
    rules: kept,
  };
}

/** The readers of HTML are loaded by a page alone: a redirect, a refusal and a plain text are answered without them. */
async function readPage(text: string, reading: "html" | "text", href: string): Promise<Markdown> {
  if (reading === "text") return { title: "", text: plainText(text), cut: false, leadsTo: null };
  return (await import("./markdown.ts")).markdownOf(text, href);
}

/** The rules of the site, "" where it has none. RFC 9309, 2.3.1: what it denies us counts as none, what it fails to give as "nothing may be read". */
async function robotsRules(href: string, wire: Wire): Promise<string | FetchReply> {
  let url = robotsOf(href);
  for (let hops = 0; hops <= MOST_ROBOTS_REDIRECTS; hops++) {
    const got = await wire.get(url);
    if (!got.ok) return refused(got.error.why, got.error.fact);
    using answer = got.value;
    const { status } = answer;
    if (isRedirect(status)) {
      const next = resolved(answer.header("location") ?? "", url);
      // Another site is another hop, with its own rules; from here it cannot be asked, and counts as having none to give.
      if (next === null || new URL(next).origin !== new URL(href).origin) return "";
      url = next;
      continue;
    }
    if (status >= 500) return refused("robots-unreachable", String(status));
    if (status < 200 || status > 299) return "";
    const body = await answer.body(MOST_ROBOTS);
    if (!body.ok) return refused("robots-unreachable", body.error.fact);
    return decodeText(body.value.bytes, "utf-8");
  }
  return "";
}

function sizeOf(answer: Answer): string {
  const length = answer.header("content-length") ?? "";
  return /^\d{1,15}$/.test(length) ? `, ${length} bytes` : "";
}
