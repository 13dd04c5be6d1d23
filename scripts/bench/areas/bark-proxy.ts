import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "bun";
import { describeRun } from "../../../src/bark/cage/describe.ts";
import { commandPlan } from "../../../src/bark/cage/plan.ts";
import type { Limits } from "../../../src/bark/cage/types.ts";
import { permitDesk } from "../../../src/bark/monitor/permit.ts";
import { PROXY_PORT, type ReachLimits } from "../../../src/bark/proxy/types.ts";
import { auditCrypto } from "../../../src/platform/audit-crypto.ts";
import { hostCage } from "../../../src/platform/cage/runner.ts";
import { heartDeps } from "../../../src/platform/heart.ts";
import { inTurn, pairedRatio, summarise } from "../stats.ts";
import { type Row, skipped } from "../table.ts";

const BYTES = 400 << 20;
const ROUNDS = 7;
/** By the proxy's own reckoning a public address; in this bench it stands for the server's port. */
const ADDRESS = "192.0.2.10";
const LIMITS: Limits = {
  wallMs: 120_000,
  cpuSeconds: 120,
  memoryBytes: 1 << 30,
  processes: 20,
  outputBytes: 1 << 20,
  openFiles: 1024,
  fileBytes: 1 << 20,
  diskBytes: 1 << 20,
};
const REACH: ReachLimits = {
  upBytes: 2 * BYTES,
  downBytes: 2 * BYTES,
  connections: 4,
  requests: 4,
  headMs: 10_000,
  connectMs: 10_000,
  idleMs: 60_000,
};

/**
 * One stream through the relay in a cage and the proxy, against one through a plain TCP relay in the same runtime that moves bytes and looks at none. The same curl reads or
 * sends both, and says itself how fast it was; the time to build the cage is not in it.
 */
export async function barkProxy(): Promise<readonly Row[]> {
  if (Bun.which("curl") === null) return [skipped("streaming through the proxy", "curl is not installed")];
  const { sha256 } = auditCrypto;
  const { clock } = heartDeps();
  const permits = permitDesk(sha256);
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "noctem-bench-")));
  const server = Bun.spawn([process.execPath, join(import.meta.dir, "../support/stream-server.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    mkdirSync(join(folder, "w"));
    const { value } = await server.stdout.getReader().read();
    const port = Number(new TextDecoder().decode(value).trim());
    using cage = hostCage({
      permits,
      clock,
      sha256,
      env: process.env,
      network: {
        lookup: () => Promise.resolve([ADDRESS]),
        connect: async (_address, _port, socket, data) =>
          await Bun.connect({ hostname: "127.0.0.1", port, socket, data, allowHalfOpen: true }),
      },
    });
    const proxied = (command: (url: string) => string) => async (): Promise<number> => {
      const plan = commandPlan({
        profile: "bench",
        tier: 2,
        argv: ["/bin/sh", "-c", command("http://bench.example")],
        workspace: join(folder, "w"),
        writes: false,
        network: {
          kind: "proxy",
          port: PROXY_PORT,
          reach: { hosts: [{ host: "bench.example", port: 80, scheme: "http", rule: "bench" }], limits: REACH },
        },
        limits: LIMITS,
        env: {},
      });
      const ran = await cage.run(permits.mint(describeRun(plan, null, sha256), clock.now()), plan, {
        stdin: null,
        signal: new AbortController().signal,
      });
      if (!ran.ok || ran.value.code !== 0)
        throw new Error(ran.ok ? `curl ended with ${ran.value.code}: ${JSON.stringify(ran.value.network)}` : JSON.stringify(ran.error));
      return speed(new TextDecoder().decode(ran.value.stdout));
    };
    using relay = plainRelay(port);
    const plain = (command: (url: string) => string) => async (): Promise<number> => {
      const child = Bun.spawn(["/bin/sh", "-c", command(`http://127.0.0.1:${relay.port}`)], {
        stdio: ["ignore", "pipe", "inherit"],
        env: {},
      });
      const said = await child.stdout.text();
      await child.exited;
      return speed(said);
    };
    const rows: Row[] = [];
    for (const [what, command] of [
      ["reading", (url: string) => `curl -sS -o /dev/null -w '%{speed_download} %{size_download}' ${url}/${BYTES}`],
      [
        "sending",
        (url: string) =>
          `head -c ${BYTES} /dev/zero | curl -sS -o /dev/null -w '%{speed_upload} %{size_upload}' -H 'Content-Length: ${BYTES}' -H 'Transfer-Encoding:' -H 'Expect:' -X POST -T - ${url}/`,
      ],
    ] as const) {
      const { a, b } = await inTurn(ROUNDS, proxied(command), plain(command));
      rows.push(
        { what: `${what} through relay and proxy`, unit: "MB/s", value: summarise(a) },
        { what: `  over a plain TCP relay`, unit: "×", value: pairedRatio(a, b), target: { at: "least", value: 0.7 } },
      );
    }
    return rows;
  } finally {
    server.kill("SIGKILL");
    await server.exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Megabytes a second; throws where it was not all. */
function speed(said: string): number {
  const [rate = 0, size = 0] = said.trim().split(" ").map(Number);
  if (size !== BYTES) throw new Error(`curl moved ${size} bytes of ${BYTES}`);
  return rate / 1e6;
}

interface Side {
  other: Socket<Side> | null;
  queue: Uint8Array[];
  ended: boolean;
}

/** Moves bytes from one socket to the other, as fast as the slower of the two. */
function plainRelay(port: number): Disposable & { readonly port: number } {
  const flush = (socket: Socket<Side>): void => {
    const { data } = socket;
    for (let first = data.queue[0]; first !== undefined; first = data.queue[0]) {
      const taken = Math.max(0, socket.write(first));
      if (taken < first.length) {
        data.queue[0] = first.subarray(taken);
        return;
      }
      data.queue.shift();
    }
    if (data.ended) socket.shutdown();
    else data.other?.resume();
  };
  const handlers = {
    data(socket: Socket<Side>, bytes: Uint8Array) {
      const { other } = socket.data;
      if (other === null) return;
      other.data.queue.push(bytes);
      if (other.data.queue.length === 1) flush(other);
      if (other.data.queue.length > 0) socket.pause();
    },
    drain: flush,
    end(socket: Socket<Side>) {
      const { other } = socket.data;
      if (other === null) return;
      other.data.ended = true;
      if (other.data.queue.length === 0) other.shutdown();
    },
    close: (socket: Socket<Side>) => void socket.data.other?.end(),
  };
  const side = (): Side => ({ other: null, queue: [], ended: false });
  const listener = Bun.listen<Side>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      ...handlers,
      async open(socket) {
        socket.data = side();
        socket.pause();
        const far = await Bun.connect<Side>({
          hostname: "127.0.0.1",
          port,
          socket: handlers,
          data: { ...side(), other: socket },
          allowHalfOpen: true,
        });
        socket.data.other = far;
        socket.resume();
      },
    },
  });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}
