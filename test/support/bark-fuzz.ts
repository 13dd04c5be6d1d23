/** Policies and command lines that nobody would write, and what must be true of every one of them. The seed is printed where it fails, and taken from FUZZ_SEED. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import compiled from "../../profiles/bark/policy.json";
import { parseCommandLine } from "../../src/bark/policy/command.ts";
import { judgeCommand, judgeHost, judgePath } from "../../src/bark/policy/judge.ts";
import { loadPolicy } from "../../src/bark/policy/load.ts";
import { applyOverlay, overlayBytes } from "../../src/bark/policy/overlay.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { tempDir } from "./noctem.ts";
import { anyOverlay, anyPolicy } from "./policies.ts";

export const SEED = Number(process.env["FUZZ_SEED"] ?? crypto.getRandomValues(new Int32Array(1))[0]);
const must = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what);
};

type Value = unknown;

/** One change somewhere in a value: another type, a name too many or too few, a list without end, half a character, a pattern that runs for ever. */
const mutation = fc.record({
  where: fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 6 }),
  put: fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom<Value>(
      "allow",
      "**".repeat(200),
      "a".repeat(100_000),
      "*a".repeat(40),
      "\ud800",
      "\u202e",
      "\u0000",
      -1,
      1e308,
      1.5,
      Number.MAX_SAFE_INTEGER,
      [],
      {},
      null,
      { constructor: 1 },
      JSON.parse('{"__proto__": {"tier": 0}}'),
      Array.from({ length: 2000 }, () => "x"),
    ),
  ),
  how: fc.constantFrom("replace", "delete", "add", "repeat" as const),
});

function mutated(
  value: Value,
  { where, put, how }: { readonly where: readonly number[]; readonly put: Value; readonly how: string },
): Value {
  if (typeof value !== "object" || value === null || where.length === 0) return put;
  const [at = 0, ...rest] = where;
  const copy: Record<string, Value> | Value[] = Array.isArray(value) ? [...(value as Value[])] : { ...(value as Record<string, Value>) };
  const keys = Object.keys(copy);
  const key = keys[at % Math.max(1, keys.length)] ?? "x";
  const fields = copy as Record<string, Value>;
  if (rest.length > 0 && keys.length > 0) fields[key] = mutated(fields[key], { where: rest, put, how });
  else if (how === "delete" && Array.isArray(copy)) copy.splice(Number(key), 1);
  else if (how === "delete") delete fields[key];
  else if (how === "add" && Array.isArray(copy)) copy.push(put);
  else if (how === "add") fields["added"] = put;
  else if (how === "repeat" && Array.isArray(copy)) copy.push(copy[at % Math.max(1, copy.length)]);
  else fields[key] = put;
  return copy;
}

/** Sentences for a person: each of one line, bounded, ended. */
function judgeFaults(faults: readonly string[]): void {
  must(faults.length > 0, "refused without a reason");
  for (const fault of faults)
    must(/^[^\p{Cc}]{3,2000}$/u.test(fault) && /[.\w"')\]…]$/.test(fault), `no sentence: ${JSON.stringify(fault.slice(0, 300))}`);
}

export function fuzzPolicies(runs: number): { readonly loaded: number; readonly refused: number } {
  let [loaded, refused] = [0, 0];
  const parent = auditCrypto.ephemeral();
  const base = loadPolicy(compiled, auditCrypto.sha256);
  if (!base.ok) throw new Error("the compiled policy does not load");
  const file = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.tuple(anyPolicy, fc.array(mutation, { maxLength: 3 })).map(([policy, all]) => all.reduce<Value>(mutated, policy)),
    },
    { weight: 1, arbitrary: fc.jsonValue() },
    {
      weight: 3,
      arbitrary: fc
        .tuple(anyOverlay, fc.array(mutation, { maxLength: 2 }))
        .map(([overlay, all]) => ({ overlay: all.reduce<Value>(mutated, overlay) })),
    },
  );
  fc.assert(
    fc.property(file, (value) => {
      // As it comes out of a file.
      const read: Value = JSON.parse(JSON.stringify(value) ?? "null");
      if (typeof read === "object" && read !== null && "overlay" in read) {
        const { overlay } = read;
        const signature = ((): string => {
          try {
            return parent.sign(overlayBytes(overlay)).toHex();
          } catch {
            return "00".repeat(64);
          }
        })();
        const applied = applyOverlay({ overlay, signature }, base.value, parent.publicKey, auditCrypto);
        if (applied.ok) loaded++;
        else {
          refused++;
          judgeFaults(applied.error);
        }
        return;
      }
      const result = loadPolicy(read, auditCrypto.sha256);
      if (!result.ok) {
        refused++;
        judgeFaults(result.error);
        return;
      }
      loaded++;
      const { policy } = result.value;
      // All of the file and nothing else: a word that is not understood is never passed over.
      must(Bun.deepEquals(policy, read), "a policy that is not what the file says");
      // What it does not name stays closed.
      must(
        judgeHost(policy, "unheard.of.invalid", 443).outcome !== "allow" ||
          policy.hosts.some(({ outcome, hosts }) => outcome === "allow" && hosts.includes("*")),
        "an unknown host is open",
      );
      must(judgeCommand(policy, "unheard-of").outcome !== "allow", "an unknown program is open");
      must(judgeCommand(policy, "ls $x").outcome !== "allow", "what cannot be read is open");
      must(
        judgePath(policy, "write", "unheard/of").outcome !== "allow" || policy.paths.some(({ outcome }) => outcome === "allow"),
        "writing is open",
      );
    }),
    { numRuns: runs, seed: SEED },
  );
  return { loaded, refused };
}

/** Programs of the list, of no list, of the forbidden ones; words that mean something to a shell. */
const PROGRAMS = [
  "cat",
  "ls",
  "sort",
  "uniq",
  "grep",
  "find",
  "git",
  "jq",
  "diff",
  "xxd",
  "wc",
  "date",
  "file",
  "strings",
  "head",
  "tail",
  "rm",
  "sh",
  "env",
  "xargs",
  "sudo",
  "tee",
  "evil",
  "printf",
  "test",
  "echo",
];
const WORDS = [
  "a",
  "-n",
  "-o",
  "log",
  "status",
  "--",
  "-x",
  "'b c'",
  '"d e"',
  "f\\ g",
  "''",
  "#h",
  "i#j",
  "=",
  "k=l",
  "-",
  "@m",
  "HEAD:n",
  "1",
  "!",
  "\\\n",
  "}",
  "%",
  "^",
  "~o",
  "`evil2`",
  "$(evil2)",
  "p~",
  "$q",
  "*r",
];
const JOINTS = [
  " ",
  " ",
  " ",
  "  ",
  "\t",
  "|",
  " | ",
  "&&",
  " && ",
  "||",
  ";",
  "; ",
  "\n",
  "<",
  " < /dev/null ",
  ">/dev/null",
  " >> z",
  "&",
  "(",
  ")",
  "\\",
  "'",
  '"',
  "`",
  " # ",
  "$(",
  "{",
  "<<",
  "\r",
  "\u00a0",
];
const line = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...PROGRAMS) }, { weight: 2, arbitrary: fc.constantFrom(...WORDS) }),
      fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...JOINTS.slice(0, 19)) }, { weight: 1, arbitrary: fc.constantFrom(...JOINTS) }),
    ),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((parts) => parts.flat().join(""));

/** Shells that a host may have as sh. */
const SHELLS = [
  ["dash", ["/bin/dash", "-c"]],
  ["bash as sh", ["/bin/bash", "--norc", "--posix", "-c"]],
] as const;
/** What these shells do themselves. */
const BUILT_IN = new Set(["echo", "printf", "test", "true", "false", "pwd"]);

/**
 * Lines that the policy allows unasked are given to real shells whose every program is a stub that writes down its words. What ran has to be what the
 * parser read, and nothing else; and no file has to have come of it.
 */
export function fuzzCommands(runs: number, mostRun: number): { readonly allowed: number; readonly ran: number } {
  const loaded = loadPolicy(compiled, auditCrypto.sha256);
  if (!loaded.ok) throw new Error("the compiled policy does not load");
  const { policy } = loaded.value;
  using dir = tempDir("noctem-fuzz-");
  const at = (name: string): string => join(dir.path, name);
  for (const folder of ["stubs", "log", "work"]) mkdirSync(at(folder));
  for (const program of [...PROGRAMS, "l", "b", "evil2"]) {
    writeFileSync(join(at("stubs"), program), `#!/bin/dash\nprintf '%s\\0' "\${0##*/}" "$@" > "${at("log")}/$$"\n`);
    chmodSync(join(at("stubs"), program), 0o755);
  }
  let [allowed, ran] = [0, 0];
  fc.assert(
    fc.property(line, (text) => {
      const ruling = judgeCommand(policy, text);
      const parsed = parseCommandLine(text);
      must(ruling.outcome !== "allow" || parsed.kind === "read", "allowed and not read");
      must((ruling.outcome === "allow") === (ruling.tier === 2), "a tier that is not the ruling's");
      if (ruling.outcome !== "allow" || parsed.kind !== "read") return;
      allowed++;
      if (allowed > mostRun) return;
      const expected = new Set(parsed.commands.map(({ argv }) => argv.join("\0")));
      for (const [name, shell] of SHELLS) {
        const result = Bun.spawnSync([...shell, text], {
          cwd: at("work"),
          env: { PATH: at("stubs") },
          stdio: ["ignore", "ignore", "pipe"],
          timeout: 20_000,
        });
        must(result.exitCode !== null, `${name} did not end`);
        must(!/syntax error/i.test(result.stderr.toString()), `${name} cannot read ${JSON.stringify(text)}: ${result.stderr.toString()}`);
        for (const entry of readdirSync(at("log"))) {
          const argv = readFileSync(join(at("log"), entry), "utf8").slice(0, -1);
          must(expected.has(argv), `${name} ran ${JSON.stringify(argv)}, which was not read in ${JSON.stringify(text)}`);
          ran++;
          rmSync(join(at("log"), entry));
        }
        must(readdirSync(at("work")).length === 0, `${name} wrote a file by ${JSON.stringify(text)}`);
        const builtIn = parsed.commands.every(({ argv: [program = ""] }) => BUILT_IN.has(program));
        if (builtIn) ran++;
      }
    }),
    { numRuns: runs, seed: SEED },
  );
  return { allowed, ran };
}
