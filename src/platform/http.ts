/**
 * The one file that reaches the network, and only when a person pulls a model. Bun's own fetch does the transport; who is
 * asked, which redirects are followed, when a server counts as dead and what of its answer is believed is decided here.
 */
import { err, ok, type Result } from "../lib/result.ts";
import type { ByteSource, ByteStream, RangeRequest, SourceFacts, SourceFailure } from "../models/ports.ts";

export interface HttpLimits {
  /** Milliseconds until a server has answered with its headers. */
  readonly connectMs: number;
  /** Milliseconds between two pieces of a body. */
  readonly stallMs: number;
}

const LIMITS: HttpLimits = { connectMs: 20_000, stallMs: 30_000 };
const MAX_REDIRECTS = 5;

export function httpSource(url: string, label: string, limits: HttpLimits = LIMITS): ByteSource {
  return {
    label,
    facts: (signal) => facts(url, limits, signal),
    open: (request, signal) => openRange(url, request, limits, signal),
  };
}

const failed = (detail: string, passing = false): { readonly ok: false; readonly error: SourceFailure } =>
  err({ kind: "source", detail, passing });
const cancelled = err({ kind: "cancelled", detail: "cancelled", passing: false } as const);

/**
 * What Hugging Face says of a file stands on its own answer, in front of the redirect to where the bytes lie; that place
 * takes no HEAD, so nothing beyond the first host is asked.
 */
async function facts(url: string, limits: HttpLimits, signal: AbortSignal): Promise<Result<SourceFacts, SourceFailure>> {
  const answer = await ask("HEAD", url, {}, limits, signal, "same-host");
  if (!answer.ok) return answer;
  using exchange = answer.value;
  const { headers, status } = exchange.response;
  const unknown: SourceFacts = { size: null, sha256: null, tag: null };
  // Some servers know no HEAD; the answer to GET says the same, later.
  if (status === 405 || status === 501) return ok(unknown);
  if (status >= 400) return failed(statusText(status), isPassing(status));
  if (isPage(headers)) return failed(PAGE_TEXT);
  const linked = headers.get("x-linked-etag");
  const direct = status < 300;
  const etag = bare(linked ?? (direct ? headers.get("etag") : null));
  return ok({
    size: lengthOf(headers.get("x-linked-size")) ?? (direct ? lengthOf(headers.get("content-length")) : null),
    sha256: etag !== null && /^[0-9a-f]{64}$/u.test(etag) ? etag : null,
    tag: etag,
  });
}

async function openRange(
  url: string,
  { from, length, ifTag }: RangeRequest,
  limits: HttpLimits,
  signal: AbortSignal,
): Promise<Result<ByteStream, SourceFailure>> {
  const headers: Record<string, string> = { Range: `bytes=${from}-${from + length - 1}` };
  if (from > 0 && ifTag !== null) headers["If-Range"] = `"${ifTag}"`;
  const answer = await ask("GET", url, headers, limits, signal, "any-host");
  if (!answer.ok) return answer;
  const exchange = answer.value;
  const refuse = (detail: string, passing = false): ReturnType<typeof failed> => {
    exchange[Symbol.dispose]();
    return failed(detail, passing);
  };
  const { response } = exchange;
  if (response.status !== 200 && response.status !== 206) return refuse(statusText(response.status), isPassing(response.status));
  if (isPage(response.headers)) return refuse(PAGE_TEXT);
  const encoding = response.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") return refuse(`it sent the file compressed (${encoding.slice(0, 20)})`);
  const tag = strongTag(response.headers.get("etag"));
  if (response.status === 200) return ok(stream(exchange, 0, lengthOf(response.headers.get("content-length")), tag, limits, signal));
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/u.exec(response.headers.get("content-range") ?? "") ?? [];
  if (first === undefined || Number(first) !== from) return refuse("it answered with another part of the file than was asked for");
  return ok(stream(exchange, from, total === undefined || total === "*" ? null : lengthOf(total), tag, limits, signal));
}

function stream(
  exchange: Exchange,
  from: number,
  total: number | null,
  tag: string | null,
  limits: HttpLimits,
  signal: AbortSignal,
): ByteStream {
  const reader = exchange.response.body?.getReader() ?? null;
  return {
    from,
    total,
    tag,
    async next() {
      if (reader === null) return ok(null);
      const stall = exchange.limit(limits.stallMs);
      try {
        const { done, value } = await reader.read();
        return ok(done ? null : value);
      } catch (error) {
        if (signal.aborted) return cancelled;
        return stall.passed
          ? failed(`it sent nothing for ${seconds(limits.stallMs)}`, true)
          : failed(`the connection broke off (${reasonOf(error)})`, true);
      } finally {
        stall.clear();
      }
    },
    [Symbol.dispose]() {
      exchange[Symbol.dispose]();
    },
  };
}

interface Exchange extends Disposable {
  readonly response: Response;
  /** Ends the exchange when nothing clears it in time. */
  limit(ms: number): { readonly passed: boolean; clear(): void };
}

async function ask(
  method: "GET" | "HEAD",
  url: string,
  headers: Readonly<Record<string, string>>,
  limits: HttpLimits,
  signal: AbortSignal,
  follow: "any-host" | "same-host",
): Promise<Result<Exchange, SourceFailure>> {
  let at: URL;
  try {
    at = new URL(url);
  } catch {
    return failed("its address cannot be read");
  }
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    if (at.protocol !== "https:" && !(at.protocol === "http:" && isLoopback(at.hostname)))
      return failed(`${at.host} is not reached over HTTPS`);
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    if (signal.aborted) return cancelled;
    signal.addEventListener("abort", stop, { once: true });
    const limit: Exchange["limit"] = (ms) => {
      const state = { passed: false };
      const timer = setTimeout(() => {
        state.passed = true;
        abort.abort();
      }, ms);
      return {
        get passed() {
          return state.passed;
        },
        clear: () => clearTimeout(timer),
      };
    };
    const end = (): void => {
      signal.removeEventListener("abort", stop);
      abort.abort();
    };
    const wait = limit(limits.connectMs);
    let response: Response;
    try {
      response = await fetch(at, {
        method,
        redirect: "manual",
        signal: abort.signal,
        // A hash is of the bytes as they are stored.
        headers: { "Accept-Encoding": "identity", "User-Agent": "noctem", ...headers },
      });
    } catch (error) {
      end();
      if (signal.aborted) return cancelled;
      return wait.passed
        ? failed(`${at.host} gave no answer within ${seconds(limits.connectMs)}`, true)
        : failed(`${at.host} cannot be reached (${reasonOf(error)})`);
    } finally {
      wait.clear();
    }
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return ok({ response, limit, [Symbol.dispose]: end });
    let next: URL;
    try {
      next = new URL(location, at);
    } catch {
      end();
      return failed(`${at.host} sent us on to an address that cannot be read`);
    }
    if (at.protocol === "https:" && next.protocol !== "https:") {
      end();
      return failed(`${at.host} sent us on to ${next.host} without encryption`);
    }
    if (follow === "same-host" && (next.host !== at.host || response.headers.has("x-linked-size")))
      return ok({ response, limit, [Symbol.dispose]: end });
    end();
    at = next;
  }
  return failed(`it sent us on more than ${MAX_REDIRECTS} times`);
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/u.test(host);

const PAGE_TEXT = "it sent a web page instead of the file; does this network want a login first?";
const isPage = (headers: Headers): boolean => /^text\/html|^application\/xhtml/iu.test(headers.get("content-type") ?? "");

function statusText(status: number): string {
  switch (status) {
    case 401:
    case 403:
      return `it does not give out this file (HTTP ${status})`;
    case 404:
      return "it does not have this file (HTTP 404)";
    case 416:
      return "it says the file is shorter than what is here already (HTTP 416)";
    case 429:
      return "it wants us to come back later (HTTP 429)";
    default:
      return status >= 500 ? `it has trouble of its own (HTTP ${status})` : `it answered with HTTP ${status}`;
  }
}

const isPassing = (status: number): boolean => status === 429 || status >= 500;

function lengthOf(text: string | null): number | null {
  const value = Number(text);
  return text !== null && /^\d+$/u.test(text) && Number.isSafeInteger(value) ? value : null;
}

/** `W/"a"` and `"a"` are `a`. */
const bare = (etag: string | null): string | null =>
  etag
    ?.replace(/^W\//u, "")
    .replace(/^"(.*)"$/u, "$1")
    .slice(0, 200) ?? null;
/** A weak tag promises nothing about single bytes. */
const strongTag = (etag: string | null): string | null =>
  etag === null || etag.startsWith("W/") || !/^"[\x21\x23-\x7e]*"$/u.test(etag) ? null : bare(etag);

const seconds = (ms: number): string => `${Number((ms / 1000).toFixed(1))} s`;

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return (
    REASONS[code] ??
    (code !== "" ? code : error instanceof Error ? (error.message.split("\n", 1)[0] ?? "").slice(0, 120) : "unknown reason")
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ConnectionRefused: "connection refused",
  ConnectionClosed: "connection closed",
  ECONNRESET: "connection reset",
  ECONNREFUSED: "connection refused",
  FailedToOpenSocket: "no connection",
  DNSException: "name not found",
  ENOTFOUND: "name not found",
};
