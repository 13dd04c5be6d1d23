/**
 * `bun web-stage.ts PROGRAM`, in a network and a mount namespace of its own with no way out: a small web of servers on documentation addresses, a resolver, a certificate
 * authority that this computer trusts in here, and the program. Takes one command line of it a line on standard input and says what came of it and what each server heard.
 */
import { linkSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnvironment } from "./noctem.ts";
import { resolver } from "./net-resolver.ts";
import { openPty } from "./pty.ts";
import { answerTo, PLACES, type WebRun, type WebRunResult } from "./web-places.ts";

const sh = (command: string): void => {
  const ran = Bun.spawnSync(["sh", "-c", command], { stdio: ["ignore", "pipe", "pipe"], env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
  if (ran.exitCode !== 0) throw new Error(`${command}: ${ran.stderr.toString()}`);
};

const folder = realpathSync(mkdtempSync(join(tmpdir(), "noctem-web-")));
const program = join(folder, "stick/noctem");
const workspace = join(folder, "work");
mkdirSync(join(folder, "stick"));
mkdirSync(workspace);
linkSync(process.argv[2] ?? "", program);

sh("ip link set lo up");
const addresses = [...new Set(PLACES.map(({ address }) => address))].filter((address) => address !== "127.0.0.1");
for (const address of addresses) sh(`ip addr add ${address}/32 dev lo`);
writeFileSync(join(folder, "resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
sh(`mount --bind '${folder}/resolv.conf' /etc/resolv.conf`);
const names = PLACES.flatMap(({ name, address }) => (name === null ? [] : [{ name, answers: [[address]] }]));
writeFileSync(join(folder, "san"), `subjectAltName=${names.map(({ name }) => `DNS:${name}`).join(",")}\n`);
sh(
  [
    `cd '${folder}'`,
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=Test authority' 2>/dev/null",
    "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj '/CN=server' 2>/dev/null",
    "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem 2>/dev/null",
    "mount --bind ca.pem /etc/ssl/certs/ca-certificates.crt",
  ].join(" && "),
);

using zone = await resolver(names);
const heard: string[] = [];
/** Bytes that an endless answer has handed to the system. */
let poured = 0;
const servers = PLACES.flatMap((place) =>
  ([80, 443] as const).map((port) =>
    Bun.serve({
      hostname: place.address,
      port,
      idleTimeout: 0,
      ...(port === 443 ? { tls: { key: readFileSync(join(folder, "server.key")), cert: readFileSync(join(folder, "server.pem")) } } : {}),
      fetch(request) {
        const { pathname, search } = new URL(request.url);
        heard.push(`${place.name ?? place.address}:${port}${pathname}${search}`);
        return answerTo(place, pathname, request, (bytes) => void (poured += bytes));
      },
    }),
  ),
);

async function play({ args, says }: WebRun): Promise<WebRunResult> {
  heard.length = 0;
  poured = 0;
  zone.forget();
  const result = says === undefined ? await silent(args) : await answering(args, says);
  return { ...result, heard: [...heard], asked: zone.asked(), poured };
}

async function silent(args: readonly string[]): Promise<Pick<WebRunResult, "code" | "out" | "err">> {
  const child = Bun.spawn([program, "bark", ...args], { cwd: workspace, env: { ...cleanEnvironment }, stdio: ["ignore", "pipe", "pipe"] });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}

/** A person reads first, and answers each question. */
async function answering(args: readonly string[], says: readonly string[]): Promise<Pick<WebRunResult, "code" | "out" | "err">> {
  await using pty = openPty([program, "bark", ...args], { cwd: workspace, columns: 150, rows: 60 });
  for (const [index, word] of says.entries()) {
    // What was asked before still stands on the screen.
    await pty.see(() => pty.raw().split(" wants to fetch ").length > index + 1);
    await Bun.sleep(900);
    // Each key is on the screen before the next: two in one read are a paste, and count for nothing.
    for (let typed = 1; typed <= word.length; typed++) {
      pty.send(word[typed - 1] ?? "");
      await pty.see(() => pty.raw().endsWith(`Enter: ${word.slice(0, typed)}`));
    }
    pty.send("\r");
  }
  const code = await pty.exited;
  return { code, out: pty.raw(), err: "" };
}

try {
  process.stdout.write("ready\n");
  for await (const line of console) {
    if (line.trim() !== "") process.stdout.write(`${JSON.stringify(await play(JSON.parse(line)))}\n`);
  }
} finally {
  for (const server of servers) void server.stop(true);
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
