import { resolve } from "node:path";
import compiled from "../../profiles/bark/policy.json";
import { type LoadedPolicy, loadPolicy } from "../bark/policy/load.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { readSmallFile } from "../platform/settings-file.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";

/** Bytes. */
const MOST = 1 << 20;

/** The policy of this build. It was checked by the tests; a build whose policy does not load is a bug. */
export function compiledPolicy(): LoadedPolicy {
  const loaded = loadPolicy(compiled, auditCrypto.sha256);
  if (!loaded.ok) throw new Error(`the compiled policy does not load: ${loaded.error.join(" ")}`);
  return loaded.value;
}

export function showPolicy({ json }: { readonly json: boolean | undefined }, io: CommandIo): number {
  const { policy, hash } = compiledPolicy();
  if (json) {
    io.out(`${JSON.stringify({ hash, policy })}\n`);
    return ExitCode.DONE;
  }
  const rules = [...policy.commands, ...policy.paths, ...policy.hosts];
  io.out(`Policy ${hash.slice(0, 16)}\n\nSkills\n`);
  for (const [name, { tier, limits }] of Object.entries(policy.skills)) {
    io.out(
      `  ${name.padEnd(12)} tier ${tier}, ${limits.wallMs / 1000} s, ${Math.round(limits.memoryBytes / 2 ** 20)} MB, ${limits.processes} processes\n`,
    );
  }
  io.out("\nRules\n");
  for (const { id, outcome, reason } of rules) io.out(`  ${outcome.padEnd(5)}  ${id.padEnd(24)} ${reason}\n`);
  io.out("\nWhat no rule names is asked about. Of several rules the strictest is followed.\n");
  return ExitCode.DONE;
}

export function checkPolicy({ json, file }: { readonly json: boolean | undefined; readonly file: string }, io: CommandIo): number {
  const fail = (faults: readonly string[]): number => {
    if (json) io.out(`${JSON.stringify({ sound: false, faults })}\n`);
    for (const fault of faults) io.err(`noctem: ${forTerminal(fault)}\n`);
    return ExitCode.USAGE;
  };
  const path = resolve(io.cwd, file);
  const text = readSmallFile(path, MOST);
  if (!text.ok) return fail([`${path} cannot be read${text.error.kind === "too-large" ? `: it is larger than ${MOST} bytes` : ""}.`]);
  if (text.value === null) return fail([`There is no ${path}.`]);
  let value: unknown;
  try {
    value = JSON.parse(text.value);
  } catch {
    return fail([`${path} is not JSON.`]);
  }
  const loaded = loadPolicy(value, auditCrypto.sha256);
  if (!loaded.ok) return fail(loaded.error);
  io.out(json ? `${JSON.stringify({ sound: true, hash: loaded.value.hash })}\n` : `${path} is sound. Its hash is ${loaded.value.hash}.\n`);
  return ExitCode.DONE;
}
