/** The wire of a hop: Bun's own client through the proxy that the cage has, with a bound on everything that a server may do. */
import { createBrotliDecompress, createInflate, createUnzip } from "node:zlib";
import { Readable, type Transform } from "node:stream";
import type { Answer, Wire, WireFailure } from "../../fetch/hop.ts";
import { err, ok, type Result } from "../../lib/result.ts";

export interface WireOptions {
  /** The proxy for each scheme; without one nothing is reached. */
  readonly proxy: { readonly https: string | null; readonly http: string | null };
  /** Certificates in PEM that are trusted instead of those that Bun brings; null for Bun's. */
  readonly certificates: string | null;
  /** Milliseconds for a whole hop, robots.txt included. */
  readonly wallMs: number;
  readonly agent: string;
}

const ACCEPT = "text/html,application/xhtml+xml,text/*;q=0.9,application/json;q=0.9,application/xml;q=0.8,*/*;q=0.1";

export function proxyWire({ proxy, certificates, wallMs, agent }: WireOptions): Wire {
  const signal = AbortSignal.timeout(wallMs);
  return {
    async get(url) {
      const through = url.startsWith("https:") ? proxy.https : proxy.http;
      if (through === null) return err({ why: "unreachable", fact: "there is no network here" });
      try {
        const response = await fetch(url, {
          proxy: through,
          redirect: "manual",
          // By its own account Bun unpacks all of a body at once; a few kilobytes may hold gigabytes.
          decompress: false,
          signal,
          keepalive: false,
          headers: { Accept: ACCEPT, "Accept-Encoding": "gzip, deflate, br", "User-Agent": agent },
          ...(certificates === null ? {} : { tls: { ca: certificates } }),
        });
        return ok(answerOf(response, signal));
      } catch (error) {
        return failure(error, signal);
      }
    },
  };
}

function answerOf(response: Response, signal: AbortSignal): Answer {
  const drop = (): void => void response.body?.cancel().catch(() => undefined);
  return {
    status: response.status,
    header: (name) => response.headers.get(name),
    async body(limit) {
      const unpack = unpackerFor(response.headers.get("content-encoding"));
      if (unpack === null) return err({ why: "encoding", fact: (response.headers.get("content-encoding") ?? "").slice(0, 40) });
      if (response.body === null) return ok({ bytes: new Uint8Array(), cut: false });
      return await bounded(response.body, unpack.stream, limit, signal);
    },
    [Symbol.dispose]: drop,
  };
}

/** Null for what we did not ask for. */
function unpackerFor(encoding: string | null): { readonly stream: Transform | null } | null {
  switch ((encoding ?? "").trim().toLowerCase()) {
    case "":
    case "identity":
      return { stream: null };
    case "gzip":
    case "x-gzip":
      return { stream: createUnzip() };
    case "deflate":
      return { stream: createInflate() };
    case "br":
      return { stream: createBrotliDecompress() };
    default:
      return null;
  }
}

async function bounded(
  body: ReadableStream<Uint8Array>,
  unpack: Transform | null,
  limit: number,
  signal: AbortSignal,
): ReturnType<Answer["body"]> {
  const blocks: Uint8Array[] = [];
  let left = limit;
  let cut = false;
  const raw = body.getReader();
  try {
    // Each block is unpacked when the one before it has been taken: a bomb goes off a piece at a time.
    const packed = blocksOf(raw);
    for await (const block of unpack === null ? packed : (Readable.from(packed).pipe(unpack) as AsyncIterable<Uint8Array>)) {
      if (block.length > left) cut = true;
      blocks.push(block.subarray(0, left));
      left -= Math.min(left, block.length);
      if (cut) break;
    }
    return ok({ bytes: Buffer.concat(blocks), cut });
  } catch (error) {
    if (!signal.aborted && unpack !== null && !isOfNetwork(error)) return err({ why: "encoding", fact: "it is damaged" });
    return failure(error, signal);
  } finally {
    unpack?.destroy();
    await raw.cancel().catch(() => undefined);
  }
}

async function* blocksOf(reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> }): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done || value === undefined) return;
    yield value;
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");
const isOfNetwork = (error: unknown): boolean => codeOf(error) in REASONS;

function failure(error: unknown, signal: AbortSignal): Result<never, WireFailure> {
  if (signal.aborted) return err({ why: "time", fact: "" });
  const code = codeOf(error);
  return err({ why: "unreachable", fact: REASONS[code] ?? (code === "" ? "it broke off" : code.slice(0, 60)) });
}

const REASONS: Readonly<Record<string, string>> = {
  ConnectionRefused: "connection refused",
  ConnectionClosed: "connection closed",
  ECONNRESET: "connection reset",
  ECONNREFUSED: "connection refused",
  FailedToOpenSocket: "no connection",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  ERR_PROXY_TUNNEL: "the way to it is closed",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is its own",
  SELF_SIGNED_CERT_IN_CHAIN: "nobody here knows who signed its certificate",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "nobody here knows who signed its certificate",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "nobody here knows who signed its certificate",
  CERT_HAS_EXPIRED: "its certificate has expired",
};
