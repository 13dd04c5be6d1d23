/** What a network of tests is furnished with, from inside it (net-stage.ts, web-stage.ts). */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Named } from "./net-names.ts";
import { type Resolver, resolver } from "./net-resolver.ts";
import type { Pty } from "./pty.ts";

export const sh = (command: string): void => {
  const ran = Bun.spawnSync(["sh", "-c", command], { stdio: ["ignore", "pipe", "pipe"], env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
  if (ran.exitCode !== 0) throw new Error(`${command}: ${ran.stderr.toString()}`);
};

export interface Furnished extends Disposable {
  /** `ca.pem`, `server.pem` and `server.key` lie there. */
  readonly folder: string;
  readonly names: Resolver;
}

/** What a host has: addresses on an interface, a file that names the resolver, and a certificate authority for these names. */
export async function furnish(addresses: readonly string[], names: readonly Named[]): Promise<Furnished> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "noctem-net-")));
  const inFolder = (command: string): void => sh(`cd '${folder}' && ${command}`);
  sh("ip link set lo up");
  for (const address of new Set(addresses))
    if (address !== "127.0.0.1") sh(`ip addr add ${address.includes(":") ? `${address}/128 dev lo nodad` : `${address}/32 dev lo`}`);
  writeFileSync(join(folder, "resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
  inFolder("mount --bind resolv.conf /etc/resolv.conf");
  writeFileSync(join(folder, "san"), `subjectAltName=${names.map(({ name }) => `DNS:${name}`).join(",")}\n`);
  const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  inFolder(`openssl req -x509 ${key} -keyout ca.key -out ca.pem -days 2 -subj '/CN=Test authority' 2>/dev/null`);
  inFolder(`openssl req ${key} -keyout server.key -out server.csr -subj '/CN=server' 2>/dev/null`);
  inFolder("openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem 2>/dev/null");
  const zone = await resolver(names);
  return {
    folder,
    names: zone,
    [Symbol.dispose]() {
      zone[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As a person types: each key is on the screen before the next, because two in one read are a paste and count for nothing. */
export async function typeWord(pty: Pty, word: string): Promise<void> {
  // A person reads first.
  await Bun.sleep(900);
  for (let typed = 1; typed <= word.length; typed++) {
    pty.send(word.slice(typed - 1, typed));
    await pty.see(() => pty.raw().endsWith(`Enter: ${word.slice(0, typed)}`));
  }
  pty.send("\r");
}

/** Until standard input ends. */
export async function playLines(play: (wanted: never) => Promise<unknown>): Promise<void> {
  process.stdout.write("ready\n");
  for await (const line of console) {
    if (line.trim() !== "") process.stdout.write(`${JSON.stringify(await play(JSON.parse(line) as never))}\n`);
  }
}
