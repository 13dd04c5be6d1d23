/**
 * The proxy of one run: a unix socket that its cage's relay leads to, a token that only its cage knows, and a record of everything that was asked for. What a
 * connection may do is the gate's to say (bark/proxy/gate.ts); here are sockets, times and sums.
 */
import { timingSafeEqual } from "node:crypto";
import { rmSync } from "node:fs";
import type { Socket } from "bun";
import { Gate } from "../../bark/proxy/gate.ts";
import { PROXY_RULES } from "../../bark/proxy/verdict.ts";
import type { NetworkReport, ProxyRequest, Reach } from "../../bark/proxy/types.ts";
import { giveRoom } from "../ffi/socket-room.ts";
import { Addresses, type HostNetwork } from "./dial.ts";
import { Link, type Sums } from "./link.ts";

export interface RunProxy {
  readonly socket: string;
  readonly token: string;
  /** Ends every connection, takes the socket away and says what there was. A second call says the same. */
  close(): NetworkReport;
}

/** Requests that are listed; an attacker may make as many as the run's limit allows. */
const MOST_LISTED = 100;
/** Milliseconds between looks at who takes too long. */
const EVERY = 100;
/** Of `sun_path`, with its NUL. */
const LONGEST_PATH = 107;

/** Throws where the socket cannot be made. */
export function openProxy(socket: string, reach: Reach, network: HostNetwork): RunProxy {
  if (Buffer.byteLength(socket) > LONGEST_PATH) throw new Error(`the path of the proxy's socket is too long: ${socket}`);
  const { limits } = reach;
  const token = crypto.getRandomValues(new Uint8Array(32)).toHex();
  const isToken = (password: string): boolean => timingSafeEqual(digest(password), digest(token));
  const links = new Set<Link>();
  const listed: ProxyRequest[] = [];
  const sums: Sums = { up: 0, down: 0 };
  const addresses = new Addresses(network);
  let [asked, ended] = [0, 0];
  const note = (request: ProxyRequest): void => {
    ended++;
    if (listed.length < MOST_LISTED) listed.push(request);
  };
  const open = (near: Socket<Link | null>): void => {
    asked++;
    giveRoom(near);
    const link = new Link(near, new Gate({ reach, isToken }), {
      limits,
      sums,
      network,
      addresses,
      note,
      gone: () => void links.delete(link),
    });
    near.data = link;
    links.add(link);
    if (links.size > limits.connections) link.end(PROXY_RULES.limit, `There are ${limits.connections} connections already.`);
    else if (asked > limits.requests) link.end(PROXY_RULES.limit, `There were ${limits.requests} requests already.`);
  };
  const listener = Bun.listen<Link | null>({
    unix: socket,
    allowHalfOpen: true,
    data: null,
    socket: {
      open,
      data: (near, bytes) => near.data?.heard(bytes),
      drain: (near) => near.data?.nearDrained(),
      end: (near) => near.data?.nearEnded(),
      close: (near) => near.data?.nearGone(),
      error: (near) => near.data?.nearGone(),
    },
  });
  const watch = setInterval(() => {
    const now = performance.now();
    for (const link of links) link.look(now);
  }, EVERY);
  let report: NetworkReport | null = null;
  return {
    socket,
    token,
    close() {
      if (report !== null) return report;
      clearInterval(watch);
      listener.stop(true);
      for (const link of links) link.drop();
      rmSync(socket, { force: true });
      report = { requests: listed, unlisted: ended - listed.length, ...sums };
      return report;
    },
  };
}

const digest = (text: string): Uint8Array => new Bun.CryptoHasher("sha256").update(text).digest();
