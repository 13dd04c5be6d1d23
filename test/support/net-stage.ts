/**
 * `bun net-stage.ts`, in a network and a mount namespace of its own with no way out: servers on documentation addresses and on private ones, a resolver, a certificate
 * authority, and a real cage. Takes one scenario a line on standard input and says for each what came of it and what each server heard.
 */
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { PROXY_PORT, type Reachable, type ReachLimits } from "../../src/bark/proxy/types.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { CageRoom, clock, LIMITS, sha256 } from "./cage.ts";
import { furnish, playLines, typeWord } from "./net-furnish.ts";
import { NAMES, type PersonScenario, TARGETS, type Scenario, type StageResult } from "./net-names.ts";
import { openPty } from "./pty.ts";

const furnished = await furnish(
  TARGETS.map(({ address }) => address),
  NAMES,
);
const { folder, names } = furnished;
/** By address and port: connections, and bytes that were heard. */
const heard = new Map<string, { connections: number; text: string }>();
const listeners = TARGETS.flatMap(({ address, ports }) =>
  ports.map((port) => {
    const key = `${address} ${port}`;
    const seen = { connections: 0, text: "" };
    heard.set(key, seen);
    const body = `you reached ${address} port ${port}\n`;
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
    const raw = {
      open: () => void seen.connections++,
      data(socket: Bun.Socket<{ rest: Uint8Array | null; asked: string }>, bytes: Uint8Array) {
        seen.text += Buffer.from(bytes).toString("latin1");
        if (seen.text.length > 1 << 20) seen.text = seen.text.slice(-(1 << 19));
        socket.data.asked += Buffer.from(bytes).toString("latin1");
        const [, size] = /^GET \/bytes\/(\d+)/.exec(socket.data.asked) ?? [];
        if (!socket.data.asked.includes("\r\n\r\n")) return;
        if (socket.data.asked.startsWith("GET /silent")) return;
        if (socket.data.asked.startsWith("GET /redirect")) {
          socket.end("HTTP/1.1 302 Found\r\nLocation: http://other.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
          return;
        }
        if (size !== undefined) {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\nConnection: close\r\n\r\n`);
          socket.data.rest = new Uint8Array(Number(size));
          raw.drain(socket);
        } else if (socket.data.asked.startsWith("POST")) {
          const [, length = "0"] = /content-length: (\d+)/i.exec(socket.data.asked) ?? [];
          if (socket.data.asked.length - socket.data.asked.indexOf("\r\n\r\n") - 4 >= Number(length)) socket.end(answer);
        } else socket.end(answer);
      },
      drain(socket: Bun.Socket<{ rest: Uint8Array | null; asked: string }>) {
        const { rest } = socket.data;
        if (rest === null) return;
        socket.data.rest = rest.subarray(Math.max(0, socket.write(rest)));
        if (socket.data.rest.length === 0) socket.end();
      },
    };
    const tls = port === 443 ? { tls: { key: Bun.file(join(folder, "server.key")), cert: Bun.file(join(folder, "server.pem")) } } : {};
    return Bun.listen<{ rest: Uint8Array | null; asked: string }>({
      hostname: address,
      port,
      ...tls,
      socket: {
        ...raw,
        open(socket) {
          socket.data = { rest: null, asked: "" };
          raw.open();
        },
      },
    });
  }),
);

const room = new CageRoom((permits) => hostCage({ permits, clock, sha256, env: process.env }));
mkdirSync(room.workspace);
copyFileSync(join(folder, "ca.pem"), join(room.workspace, "ca.crt"));

async function play({ script, language = "sh", hosts, limits }: Scenario): Promise<StageResult> {
  for (const seen of heard.values()) Object.assign(seen, { connections: 0, text: "" });
  names.forget();
  const reach = { hosts: hosts.map((host): Reachable => ({ rule: "test", ...host })), limits: { ...REACH, ...limits } };
  const argv = language === "sh" ? ["/bin/sh", "-c", script] : ["/usr/bin/python3", "-c", script];
  const plan = room.plan(argv, { network: { kind: "proxy", port: PROXY_PORT, reach }, limits: LIMITS });
  const ran = await room.run(plan);
  if (!ran.ok) return { error: JSON.stringify(ran.error), code: null, out: "", err: "", network: null, heard: {}, asked: [] };
  const { code, stdout, stderr, network } = ran.value;
  // What a server hears comes by its own turn.
  await Bun.sleep(20);
  return {
    error: null,
    code,
    out: Buffer.from(stdout).toString("latin1"),
    err: Buffer.from(stderr).toString("latin1"),
    network,
    heard: told(),
    asked: names.asked(),
  };
}

async function person({ program, args, answer }: PersonScenario): Promise<StageResult> {
  for (const seen of heard.values()) Object.assign(seen, { connections: 0, text: "" });
  names.forget();
  await using pty = openPty([program, ...args], { cwd: room.workspace, columns: 160, rows: 50 });
  if (answer !== null) {
    await pty.see(/Type yes or no/);
    await typeWord(pty, answer);
  }
  const code = await pty.exited;
  return { error: null, code, out: pty.raw(), err: "", network: null, heard: told(), asked: names.asked() };
}

const told = (): Record<string, string> =>
  Object.fromEntries([...heard].filter(([, { connections }]) => connections > 0).map(([key, { text }]) => [key, text.slice(0, 4000)]));

const REACH: ReachLimits = {
  upBytes: 16 << 20,
  downBytes: 64 << 20,
  connections: 16,
  requests: 200,
  headMs: 1500,
  connectMs: 3000,
  idleMs: 4000,
};

try {
  await playLines(async (wanted: Scenario | PersonScenario) => ("program" in wanted ? await person(wanted) : await play(wanted)));
} finally {
  for (const listener of listeners) listener.stop(true);
  room[Symbol.dispose]();
  furnished[Symbol.dispose]();
}
process.exit(0);
