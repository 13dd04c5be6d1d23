/**
 * `bun net-stage.ts`, in a network and a mount namespace of its own with no way out: servers on documentation addresses and on private ones, a resolver, a certificate
 * authority, and a real cage. Takes one scenario a line on standard input and says for each what came of it and what each server heard.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROXY_PORT, type Reachable, type ReachLimits } from "../../src/bark/proxy/types.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { CageRoom, clock, LIMITS, sha256 } from "./cage.ts";
import { NAMES, type PersonScenario, TARGETS, type Scenario, type StageResult } from "./net-names.ts";
import { openPty } from "./pty.ts";
import { resolver } from "./net-resolver.ts";

const sh = (command: string): void => {
  const ran = Bun.spawnSync(["sh", "-c", command], { stdio: ["ignore", "pipe", "pipe"], env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
  if (ran.exitCode !== 0) throw new Error(`${command}: ${ran.stderr.toString()}`);
};

const folder = realpathSync(mkdtempSync(join(tmpdir(), "noctem-net-")));
const quoted = (name: string): string => `'${join(folder, name)}'`;
// What a host has: addresses on an interface, a file that names the resolver.
sh("ip link set lo up");
for (const { address } of TARGETS)
  if (address !== "127.0.0.1") sh(`ip addr add ${address.includes(":") ? `${address}/128 dev lo nodad` : `${address}/32 dev lo`}`);
writeFileSync(join(folder, "resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
sh(`mount --bind ${quoted("resolv.conf")} /etc/resolv.conf`);
writeFileSync(join(folder, "san"), `subjectAltName=${NAMES.map(({ name }) => `DNS:${name}`).join(",")}\n`);
sh(
  [
    `cd '${folder}'`,
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=Test authority' 2>/dev/null",
    "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj '/CN=allowed.example' 2>/dev/null",
    "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem 2>/dev/null",
  ].join(" && "),
);

using names = await resolver(NAMES);
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
sh(`cp ${quoted("ca.pem")} '${room.workspace}/ca.crt'`);

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
    // A person reads first.
    await Bun.sleep(900);
    for (let typed = 1; typed <= answer.length; typed++) {
      pty.send(answer.slice(typed - 1, typed));
      await pty.see(() => pty.raw().endsWith(`Enter: ${answer.slice(0, typed)}`));
    }
    pty.send("\r");
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
  process.stdout.write("ready\n");
  for await (const line of console) {
    if (line.trim() === "") continue;
    const wanted = JSON.parse(line) as Scenario | PersonScenario;
    process.stdout.write(`${JSON.stringify("program" in wanted ? await person(wanted) : await play(wanted))}\n`);
  }
} finally {
  for (const listener of listeners) listener.stop(true);
  room[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
