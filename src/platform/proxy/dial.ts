/**
 * From a name that was allowed to a connection. The host's own resolver is asked, every address that it gives is judged, and what is dialled is one of those very
 * addresses: a name that answers differently the next time leads nowhere new.
 */
import { lookup } from "node:dns/promises";
import type { SocketHandler, Socket } from "bun";
import type { DialFailure } from "../../bark/proxy/gate.ts";
import { notPublic, parseIpv4, parseIpv6, printIpv6 } from "../../bark/proxy/address.ts";
import { type Authority, type Host, inUrl } from "../../bark/proxy/host.ts";
import { PROXY_RULES } from "../../bark/proxy/verdict.ts";
import { err, ok, type Result } from "../../lib/result.ts";

/** Of one name; who has more is reached by one of these. */
const MOST_ADDRESSES = 16;
const MOST_TRIED = 4;

/** Where names have addresses, and addresses somebody who answers. */
export interface HostNetwork {
  /** Rejects where there is no such name. */
  lookup(name: string): Promise<readonly string[]>;
  connect<T>(address: string, port: number, socket: SocketHandler<T>, data: T): Promise<Socket<T>>;
}

/** This computer's own. Not c-ares: a host's ways of finding names (its hosts file, its VPN's resolver) are the C library's. */
export const hostNetwork: HostNetwork = {
  lookup: async (name) => (await lookup(name, { all: true, verbatim: true })).map(({ address }) => address),
  connect: async (hostname, port, socket, data) => await Bun.connect({ hostname, port, socket, data, allowHalfOpen: true }),
};

const failed = (reason: string): Result<never, DialFailure> => err({ verdict: "failed", rule: "proxy.unreachable", reason });

/** Addresses as text, all of them public. Asked once a name: a run's later connections go to the same ones. */
export class Addresses {
  readonly #network: HostNetwork;
  readonly #known = new Map<string, Promise<Result<readonly string[], DialFailure>>>();

  constructor(network: HostNetwork) {
    this.#network = network;
  }

  of(host: Host, withinMs: number): Promise<Result<readonly string[], DialFailure>> {
    const known = this.#known.get(host.text);
    if (known !== undefined) return known;
    const asked = ask(this.#network, host, withinMs);
    this.#known.set(host.text, asked);
    void asked.then((answer) => {
      // What could not be found out may be asked again; what was refused stays refused.
      if (!answer.ok && answer.error.verdict === "failed") this.#known.delete(host.text);
    });
    return asked;
  }
}

async function ask(network: HostNetwork, host: Host, withinMs: number): Promise<Result<readonly string[], DialFailure>> {
  if (host.bytes !== null) return judged(host, [host.text]);
  try {
    const answers = await within(network.lookup(host.text), withinMs);
    return answers === null ? failed(`Nobody told the addresses of ${host.text} in time.`) : judged(host, answers);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code).slice(0, 40) : "no answer";
    return failed(`The name ${host.text} was not found (${code}).`);
  }
}

/** All or nothing: a name with one address inside is one that somebody points inside. */
function judged(host: Host, addresses: readonly string[]): Result<readonly string[], DialFailure> {
  if (addresses.length === 0) return failed(`The name ${host.text} has no address.`);
  if (addresses.length > MOST_ADDRESSES) return failed(`The name ${host.text} has more than ${MOST_ADDRESSES} addresses.`);
  const plain: string[] = [];
  for (const address of addresses) {
    const bytes = parseIpv4(address) ?? parseIpv6(address);
    const what = bytes === null ? "none that can be read" : notPublic(bytes);
    if (bytes === null || what !== null) {
      const reason = `${inUrl(host)} leads to ${address.slice(0, 60)}. That is ${what}, and nothing in a cage reaches it.`;
      return err({ verdict: "refused", rule: PROXY_RULES.address, reason });
    }
    plain.push(bytes.length === 4 ? address : printIpv6(bytes));
  }
  return ok(plain);
}

/** Null when it took longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One address after the other, all within `withinMs`. `data` goes with the socket; handlers hear of it only when it is the one that is given back. */
export async function dial<T>(
  network: HostNetwork,
  { host, port }: Authority,
  addresses: readonly string[],
  withinMs: number,
  socket: SocketHandler<T>,
  data: T,
): Promise<Result<Socket<T>, DialFailure>> {
  const until = performance.now() + withinMs;
  const tried = addresses.slice(0, MOST_TRIED);
  let said = "it took too long";
  for (const [index, hostname] of tried.entries()) {
    const left = until - performance.now();
    if (left <= 0) break;
    let abandoned = false;
    const dialling = network.connect(hostname, port, socket, data);
    void dialling.then(
      (late) => {
        if (abandoned) late.terminate();
      },
      () => undefined,
    );
    try {
      const connected = await within(dialling, left / (tried.length - index));
      if (connected !== null) return ok(connected);
      abandoned = true;
    } catch (error) {
      said = error instanceof Error && "code" in error ? String(error.code).slice(0, 40) : "no connection";
    }
  }
  return failed(`${inUrl(host)}:${port} cannot be reached (${said}).`);
}
