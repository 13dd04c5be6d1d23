/** Each refusal of the proxy is taken out once in a copy of the source, and at least one attack then gets through; what holds twice is named. */
import { expect, test } from "bun:test";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NO_CAGE } from "../support/cage.ts";
import { cleanEnvironment, ROOT, tempDir } from "../support/noctem.ts";

type Defence = readonly [name: string, file: string, find: string, put: string, only: string];
const AT = (name: string): string => `src/bark/proxy/${name}.ts`;

const DEFENCES: readonly Defence[] = [
  ["the token", AT("gate"), "return this.#deps.isToken(password) && user === PROXY_USER;", "return true;", "proxy-without-token"],
  ["hosts that were named", AT("verdict"), "entry.host === host.text)", 'entry.host !== "")', "proxy-unnamed"],
  ["ports that were named", AT("verdict"), "entry.port === port &&", "", "proxy-unnamed"],
  [
    "ways that were named",
    AT("verdict"),
    "(scheme === null || entry.scheme === scheme)",
    "(scheme === null || scheme !== null)",
    "proxy-plain-to-tls",
  ],
  [
    "addresses inside",
    AT("address"),
    "return bytes.length === 4 ? kindOf(bytes, IPV4) : notPublic6(bytes);",
    "return null;",
    "proxy-name-leads,proxy-address,proxy-one",
  ],
  ["IPv4 in disguise", AT("address"), "if (((bytes[0] ?? 0) & 0xe0) !== 0x20) return", "if (bytes.length < 0) return", "proxy-name-leads"],
  [
    "all addresses of a name",
    "src/platform/proxy/dial.ts",
    "    if (bytes === null || what !== null) {",
    "    if (bytes === null || (what !== null && plain.length === 0)) {",
    "proxy-one-address",
  ],
  ["one look-up a name", "src/platform/proxy/dial.ts", "if (known !== undefined) return known;", "", "proxy-rebinding"],
  [
    "the Host inside",
    AT("http"),
    "if (!said.ok || said.value.host.text !== to.host.text || said.value.port !== to.port)",
    "if (!said.ok)",
    "proxy-inner-host",
  ],
  ["the server's name inside TLS", AT("gate"), "name.value.text === to.host.text)", 'name.value.text !== "")', "proxy-server-name"],
  ["one server's name", AT("hello"), "if (names.length > 1)", "if (names.length > 9)", "proxy-two-server-names"],
  ["one name in a list", AT("hello"), "if (entry.left > 0)", "if (entry.left > 9000)", "proxy-two-server-names"],
  [
    "a server's name at all",
    AT("gate"),
    'const name = read.kind === "hello" ? parseHost(read.name) : null;',
    'if (read.kind === "refused") return this.#open();\n    const name = read.kind === "hello" ? parseHost(read.name) : null;',
    "proxy-no",
  ],
  [
    "nothing behind the greeting",
    AT("hello"),
    "if (length > wanted || part.length < size)",
    "if (part.length < size)",
    "proxy-behind-greeting",
  ],
  [
    "one request a connection",
    AT("gate"),
    "this.#drop(Math.min(left, this.#held.length));",
    "this.#drop(this.#held.length);",
    "proxy-second-request,proxy-beyond-length",
  ],
  ["one length", AT("http"), 'if (another !== undefined) return "it has two lengths";', "", "proxy-two-lengths"],
  ["whole line ends", AT("http"), "if (byte === LF && bytes[at - 1] !== CR)", "if (byte === LF && at < 0)", "proxy-line-ends"],
  [
    "no folded fields",
    AT("http"),
    "if (/^[ \\t]/.test(line)) return err",
    'if (/^[ \\t]/.test(line)) { fields.push({ name: "X", value: line }); continue; }\n    if (line === "\\0") return err',
    "proxy-folded",
  ],
  [
    "fields that belong to a connection",
    AT("http"),
    'return !HOP_BY_HOP.has(plain) && !plain.startsWith("proxy-") && !named.has(plain);',
    'return plain !== "host";',
    "proxy-other-protocol,proxy-token-at-server",
  ],
  ["a bound on bytes", "src/platform/proxy/link.ts", "if (sums.up > limits.upBytes)", "if (sums.up < 0)", "proxy-beyond-bytes"],
  [
    "a bound on requests",
    "src/platform/proxy/server.ts",
    "else if (asked > limits.requests)",
    "else if (asked < 0)",
    "proxy-beyond-requests",
  ],
  ["commands of SOCKS", AT("socks"), "if (command !== undefined && command !== CONNECT)", "if (command === 999)", "proxy-datagrams"],
];

/** Held by something else as well, or of use to tools and not against attacks. */
const TWICE: Readonly<Record<string, string>> = {
  "one look-up a name": "the addresses of every look-up are judged; this keeps a resolver from being asked without end",
  "whole line ends": "a control character in a field is refused as well, and heads are written anew",
};

test.skipIf(NO_CAGE !== null)(
  `each refusal of the proxy is needed by an attack${NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`}`,
  () => {
    using copy = tempDir("noctem-proxy-");
    for (const part of ["src", "tui", "profiles", "native", "build/helper", "package.json", "tsconfig.json", "bunfig.toml"])
      cpSync(join(ROOT, part), join(copy.path, part), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(copy.path, "node_modules"));
    const attack = (only: string): { readonly open: readonly string[]; readonly tried: number } => {
      const ran = Bun.spawnSync([process.execPath, "src/main.ts", "bark", "redteam", "--json", "--only", only], {
        cwd: copy.path,
        env: { ...cleanEnvironment },
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 120_000,
        killSignal: "SIGKILL",
      });
      if (ran.stdout.length === 0) throw new Error(ran.stderr.toString().slice(0, 500));
      const { attacks } = JSON.parse(ran.stdout.toString()) as { attacks: { id: string; result: string }[] };
      return {
        open: attacks.filter(({ result }) => result === "open").map(({ id }) => id),
        tried: attacks.filter(({ result }) => result !== "skipped").length,
      };
    };
    const whole = attack("proxy");
    expect(whole.open).toEqual([]);
    expect(whole.tried).toBeGreaterThan(40);
    const outcomes = DEFENCES.map(([name, file, find, put, only]) => {
      const path = join(copy.path, file);
      const text = readFileSync(path, "utf8");
      expect(text.includes(find), `${name}: ${find}`).toBe(true);
      writeFileSync(
        path,
        text.replace(find, () => put),
      );
      try {
        return { name, open: attack(only).open };
      } finally {
        writeFileSync(path, text);
      }
    });
    console.log(outcomes.map(({ name, open }) => `${name}: ${open.length === 0 ? "nothing opens" : open.join(", ")}`).join("\n"));
    expect(outcomes.filter(({ name, open }) => open.length === 0 && !(name in TWICE)).map(({ name }) => name)).toEqual([]);
  },
  20 * 60_000,
);
