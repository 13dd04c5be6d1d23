/**
 * `bun web-stage.ts PROGRAM`, in a network and a mount namespace of its own with no way out: a small web of servers on documentation addresses, a resolver, a certificate
 * authority that this computer trusts in here, and the program. Takes one command line of it a line on standard input and says what came of it and what each server heard.
 */
import { linkSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanEnvironment } from "./noctem.ts";
import { furnish, playLines, sh, typeWord } from "./net-furnish.ts";
import { openPty } from "./pty.ts";
import { answerTo, PLACES, type WebRun, type WebRunResult } from "./web-places.ts";

const names = PLACES.flatMap(({ name, address }) => (name === null ? [] : [{ name, answers: [[address]] }]));
const furnished = await furnish(
  PLACES.map(({ address }) => address),
  names,
);
const { folder, names: zone } = furnished;
sh(`mount --bind '${folder}/ca.pem' /etc/ssl/certs/ca-certificates.crt`);
const program = join(folder, "stick/noctem");
const workspace = join(folder, "work");
mkdirSync(join(folder, "stick"));
mkdirSync(workspace);
linkSync(process.argv[2] ?? "", program);

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
    await typeWord(pty, word);
  }
  const code = await pty.exited;
  return { code, out: pty.raw(), err: "" };
}

try {
  await playLines(play);
} finally {
  for (const server of servers) void server.stop(true);
  furnished[Symbol.dispose]();
}
process.exit(0);
