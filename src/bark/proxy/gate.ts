import { type Authority, inUrl, parseHost, spelled } from "./host.ts";
import { readHello } from "./hello.ts";
import { connectTarget, plainRequest, readHead, valuesOf, type Head, type PlainRequest } from "./http.ts";
import { type Credentials, PASSWORD_METHOD, readCredentials, readGreeting, readRequest, SOCKS5, socksReply } from "./socks.ts";
import { PROXY_USER, type ProxyRequest, type Reach, type Scheme } from "./types.ts";
import { judgeReach, PROXY_RULES } from "./verdict.ts";

/** What is to be done with a connection. */
export type GateStep =
  /** Said to the program. */
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  /** Nothing more is read until `dialled` says how it went. */
  | { readonly kind: "dial"; readonly to: Authority }
  /** Said to the host that was dialled. */
  | { readonly kind: "forward"; readonly bytes: Uint8Array }
  /** From now on what the host says is passed on; and what the program says too, when `both`. */
  | { readonly kind: "open"; readonly both: boolean }
  /** Nothing more comes of it: what was answered is sent, then all ends are closed. */
  | { readonly kind: "close" };

/** What is known of the request so far. */
export type GateRequest = Pick<ProxyRequest, "kind" | "host" | "port" | "verdict" | "rule" | "reason" | "instead">;

export interface GateDeps {
  readonly reach: Reach;
  /** Compares without telling by its time how much was right. */
  readonly isToken: (password: string) => boolean;
}

export interface DialFailure {
  readonly verdict: "refused" | "failed";
  readonly rule: string;
  readonly reason: string;
}

type Phase =
  | { readonly kind: "first" }
  | { readonly kind: "head" }
  | { readonly kind: "credentials" }
  | { readonly kind: "socks-request" }
  /** A tunnel that was asked for. */
  | { readonly kind: "dialling-tunnel"; readonly to: Authority; readonly by: "connect" | "socks" }
  | { readonly kind: "dialling-plain"; readonly request: PlainRequest }
  /** In the tunnel: what comes first says whether it leads where it was said to. */
  | { readonly kind: "hello"; readonly to: Authority }
  | { readonly kind: "inner-head"; readonly to: Authority }
  | { readonly kind: "inner"; readonly to: Authority }
  | { readonly kind: "body"; readonly left: number }
  | { readonly kind: "open" }
  | { readonly kind: "closed" };

/**
 * One connection to the proxy, from its first byte until it is open or closed: a function of bytes, without a socket or a clock. Every byte that it says to forward was
 * read to the end of what it belongs to and judged before.
 */
export class Gate {
  readonly #deps: GateDeps;
  #phase: Phase = { kind: "first" };
  #held: Uint8Array = new Uint8Array();
  /** Bytes of a head that were looked at. */
  #looked = 0;
  #request: GateRequest = {
    kind: "unread",
    host: "",
    port: 0,
    verdict: "failed",
    rule: PROXY_RULES.malformed,
    reason: SILENT,
    instead: null,
  };
  #second: GateRequest | null = null;

  constructor(deps: GateDeps) {
    this.#deps = deps;
  }

  get request(): GateRequest {
    return this.#request;
  }

  /** What came behind a request on the same connection, and went nowhere. */
  get second(): GateRequest | null {
    return this.#second;
  }

  /** The program was heard: what it wants, and inside which name. Until then it has little time. */
  get settled(): boolean {
    return this.#phase.kind === "open" || this.#phase.kind === "body" || this.#phase.kind === "closed";
  }

  get dialling(): boolean {
    return this.#phase.kind === "dialling-tunnel" || this.#phase.kind === "dialling-plain";
  }

  take(bytes: Uint8Array): readonly GateStep[] {
    if (this.#phase.kind === "open") return [{ kind: "forward", bytes }];
    if (this.#phase.kind === "closed") return [];
    this.#held = this.#held.length === 0 ? bytes : joined(this.#held, bytes);
    return this.#work();
  }

  /** How dialling went; null when there is a connection. */
  dialled(failure: DialFailure | null): readonly GateStep[] {
    const phase = this.#phase;
    if (phase.kind !== "dialling-tunnel" && phase.kind !== "dialling-plain") return [];
    if (failure !== null) {
      this.#request = { ...this.#request, ...failure, instead: null };
      const refused = failure.verdict === "refused";
      if (phase.kind === "dialling-tunnel" && phase.by === "socks") return this.#close(socksReply(refused ? "refused" : "unreachable"));
      return this.#close(page(refused ? "403 Forbidden" : "502 Bad Gateway", failure.reason));
    }
    if (phase.kind === "dialling-plain") {
      return this.#pass(phase.request);
    }
    this.#phase = phase.by === "connect" ? { kind: "hello", to: phase.to } : { kind: "inner", to: phase.to };
    const answer = phase.by === "connect" ? text("HTTP/1.1 200 Connection established\r\n\r\n") : socksReply("done");
    return [{ kind: "answer", bytes: answer }, ...this.#work()];
  }

  /** From outside: it took too long, or too much. */
  end(rule: string, reason: string, verdict: ProxyRequest["verdict"] = "refused"): readonly GateStep[] {
    if (this.#phase.kind === "closed") return [];
    this.#request = { ...this.#request, verdict, rule, reason, instead: null };
    this.#phase = { kind: "closed" };
    return [{ kind: "close" }];
  }

  #work(): readonly GateStep[] {
    const phase = this.#phase;
    if (this.#held.length === 0) return [];
    switch (phase.kind) {
      case "first":
        return this.#first();
      case "head":
        return this.#head();
      case "credentials":
        return this.#credentials();
      case "socks-request":
        return this.#socksRequest();
      case "inner":
        // TLS and HTTP cannot begin alike.
        this.#phase = this.#held[0] === TLS_HANDSHAKE ? { kind: "hello", to: phase.to } : { kind: "inner-head", to: phase.to };
        return this.#work();
      case "hello":
        return this.#hello(phase.to);
      case "inner-head":
        return this.#innerHead(phase.to);
      case "body":
        return this.#body(phase.left);
      case "open":
        return [{ kind: "forward", bytes: this.#drop(this.#held.length) }];
      case "dialling-tunnel":
      case "dialling-plain":
      case "closed":
        return [];
    }
  }

  #first(): readonly GateStep[] {
    if (this.#held[0] !== SOCKS5) {
      this.#phase = { kind: "head" };
      return this.#work();
    }
    this.#is({ kind: "socks" });
    const greeting = readGreeting(this.#held);
    if (greeting.kind === "more") return [];
    if (greeting.kind === "refused") return this.#malformed(greeting.reason, socksReply("failed"));
    this.#drop(greeting.length);
    // RFC 1928: 255 is "none of these will do".
    if (!greeting.value) return this.#unauthenticated(Uint8Array.of(SOCKS5, 255));
    this.#phase = { kind: "credentials" };
    return [{ kind: "answer", bytes: Uint8Array.of(SOCKS5, PASSWORD_METHOD) }, ...this.#work()];
  }

  #credentials(): readonly GateStep[] {
    const read = readCredentials(this.#held);
    if (read.kind === "more") return [];
    if (read.kind === "refused") return this.#malformed(read.reason, Uint8Array.of(1, 1));
    this.#drop(read.length);
    if (!this.#knows(read.value)) return this.#unauthenticated(Uint8Array.of(1, 1));
    this.#phase = { kind: "socks-request" };
    return [{ kind: "answer", bytes: Uint8Array.of(1, 0) }, ...this.#work()];
  }

  #socksRequest(): readonly GateStep[] {
    const read = readRequest(this.#held);
    if (read.kind === "more") return [];
    if (read.kind === "refused") return this.#malformed(read.reason, socksReply("failed"));
    this.#drop(read.length);
    const { to, written } = read.value;
    if (!to.ok) {
      this.#is({ host: spelled(written) });
      return this.#malformed(`the host cannot be read: ${to.error}`, socksReply("refused"));
    }
    // In which way it will be spoken to is said inside.
    return (
      this.#judge(to.value, null, () => socksReply("refused")) ??
      this.#dial({ kind: "dialling-tunnel", to: to.value, by: "socks" }, to.value)
    );
  }

  #head(): readonly GateStep[] {
    const read = readHead(this.#held, this.#looked);
    this.#looked = this.#held.length;
    if (read.kind === "more") return [];
    if (read.kind === "refused") return this.#malformed(read.reason, page("400 Bad Request", read.reason));
    const { head, length } = read;
    this.#drop(length);
    this.#is({ kind: head.method === "CONNECT" ? "connect" : "http", host: spelled(head.target) });
    if (!this.#isOurs(head)) return this.#unauthenticated(page("407 Proxy Authentication Required", TOKEN_WANTED, CHALLENGE));
    if (head.method === "CONNECT") {
      const to = connectTarget(head);
      if (!to.ok) return this.#malformed(to.error, page("400 Bad Request", to.error));
      return this.#judge(to.value, "https", forbidden) ?? this.#dial({ kind: "dialling-tunnel", to: to.value, by: "connect" }, to.value);
    }
    const request = plainRequest(head, "address");
    if (!request.ok) return this.#malformed(request.error, page("400 Bad Request", request.error));
    const { to } = request.value;
    return this.#judge(to, "http", forbidden) ?? this.#dial({ kind: "dialling-plain", request: request.value }, to);
  }

  #hello(to: Authority): readonly GateStep[] {
    const verdict = this.#judge(to, "https", () => new Uint8Array());
    if (verdict !== null) return verdict;
    const read = readHello(this.#held);
    if (read.kind === "more") return [];
    const name = read.kind === "hello" ? parseHost(read.name) : null;
    if (read.kind === "hello" && name?.ok === true && name.value.text === to.host.text) return this.#open();
    const inside = read.kind === "hello" ? `inside it asks for ${spelled(read.name)}` : read.reason;
    return this.#inner(`The tunnel was to ${inUrl(to.host)}, and ${inside}.`);
  }

  /** Plain HTTP in a SOCKS tunnel: one request, as everywhere. */
  #innerHead(to: Authority): readonly GateStep[] {
    const read = readHead(this.#held, this.#looked);
    this.#looked = this.#held.length;
    if (read.kind === "more") return [];
    if (read.kind === "refused") return this.#inner(`What stands in the tunnel is neither TLS nor a request: ${read.reason}.`);
    const verdict = this.#judge(to, "http", forbidden);
    if (verdict !== null) return verdict;
    const request = plainRequest(read.head, to);
    if (!request.ok) return this.#inner(`The tunnel was to ${inUrl(to.host)}, and the request inside is refused: ${request.error}.`);
    this.#drop(read.length);
    return this.#pass(request.value);
  }

  #pass({ head, bodyBytes }: PlainRequest): readonly GateStep[] {
    this.#is({ verdict: "allowed", reason: ALLOWED });
    this.#phase = { kind: "body", left: bodyBytes };
    return [{ kind: "forward", bytes: head }, { kind: "open", both: false }, ...this.#work()];
  }

  /**
   * The body, to its last byte; then nothing. A second request on the same connection would need the answer to the first to be read, to know where that ends: a
   * second grammar for somebody to find a gap in. The server was told to close, and tools open another connection.
   */
  #body(left: number): readonly GateStep[] {
    const bytes = this.#drop(Math.min(left, this.#held.length));
    this.#phase = { kind: "body", left: left - bytes.length };
    const steps: GateStep[] = bytes.length === 0 ? [] : [{ kind: "forward", bytes }];
    if (this.#held.length === 0) return steps;
    this.#drop(this.#held.length);
    const reason = "A second request came on the same connection, and was not passed on.";
    this.#second = {
      ...this.#request,
      rule: PROXY_RULES.second,
      verdict: "refused",
      reason,
      instead: "Open a connection for each request.",
    };
    return steps;
  }

  #open(): readonly GateStep[] {
    this.#is({ verdict: "allowed", reason: ALLOWED });
    this.#phase = { kind: "open" };
    return [
      { kind: "forward", bytes: this.#drop(this.#held.length) },
      { kind: "open", both: true },
    ];
  }

  /** The steps that refuse it; null when it may go on. */
  #judge(to: Authority, scheme: Scheme | null, answer: (reason: string) => Uint8Array): readonly GateStep[] | null {
    const { allowed, rule, reason, instead } = judgeReach(this.#deps.reach, to, scheme);
    const place = { host: to.host.text, port: to.port, rule };
    this.#is(allowed ? { ...place, reason: SILENT } : { ...place, reason, instead, verdict: "refused" });
    if (allowed) return null;
    return this.#close(answer(reason));
  }

  #dial(phase: Phase, to: Authority): readonly GateStep[] {
    this.#phase = phase;
    return [{ kind: "dial", to }];
  }

  #isOurs(head: Head): boolean {
    const [value, another] = valuesOf(head, "proxy-authorization");
    const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(value ?? "")?.[1];
    if (encoded === undefined || another !== undefined) return false;
    const plain = decoded(encoded);
    const colon = plain.indexOf(":");
    return this.#knows({ user: plain.slice(0, Math.max(0, colon)), password: plain.slice(colon + 1) });
  }

  #knows({ user, password }: Credentials): boolean {
    // The token is compared whatever the name is.
    return this.#deps.isToken(password) && user === PROXY_USER;
  }

  #is(known: Partial<GateRequest>): void {
    this.#request = { ...this.#request, ...known };
  }

  #malformed(reason: string, answer: Uint8Array): readonly GateStep[] {
    this.#is({ verdict: "refused", rule: PROXY_RULES.malformed, reason: `The request is refused: ${reason}.` });
    return this.#close(answer);
  }

  #unauthenticated(answer: Uint8Array): readonly GateStep[] {
    this.#is({ verdict: "unauthenticated", rule: PROXY_RULES.token, reason: "It came without this run's token." });
    return this.#close(answer);
  }

  /** What it says inside belies what it asked for: nothing of it was passed on. */
  #inner(reason: string): readonly GateStep[] {
    this.#is({ verdict: "refused", rule: PROXY_RULES.inner, reason });
    return this.#close(new Uint8Array());
  }

  #close(answer: Uint8Array): readonly GateStep[] {
    this.#phase = { kind: "closed" };
    this.#held = new Uint8Array();
    return answer.length === 0 ? [{ kind: "close" }] : [{ kind: "answer", bytes: answer }, { kind: "close" }];
  }

  /** Takes what was read from what is held. */
  #drop(count: number): Uint8Array {
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    this.#looked = 0;
    return taken;
  }
}

const TLS_HANDSHAKE = 22;
const ALLOWED = "The call named it, and the policy allows it.";
const SILENT = "It ended before it had said what it wants.";
const TOKEN_WANTED = "This run's proxy wants its token, which stands in the proxy variables.";
const CHALLENGE = 'Proxy-Authenticate: Basic realm="noctem"';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function page(status: string, reason: string, ...fields: readonly string[]): Uint8Array {
  const body = text(`noctem: ${reason}\n`);
  const lines = [
    `HTTP/1.1 ${status}`,
    ...fields,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  return joined(text(`${lines.join("\r\n")}\r\n\r\n`), body);
}

const forbidden = (reason: string): Uint8Array => page("403 Forbidden", reason);

/** Latin-1, and "" for what is no Base64. */
function decoded(encoded: string): string {
  try {
    return atob(encoded);
  } catch {
    return "";
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
