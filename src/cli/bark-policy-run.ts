import { resolve } from "node:path";
import compiled from "../../profiles/bark/policy.json";
import { type LoadedPolicy, loadPolicy } from "../bark/policy/load.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { readParentPublic } from "../platform/parent-key.ts";
import { readSmallFile } from "../platform/settings-file.ts";
import { applyOverlay, type EffectivePolicy } from "../bark/policy/overlay.ts";
import type { StickLayout } from "../config/layout.ts";
import type { Explained } from "../headless/result-object.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { stickOf } from "./stick.ts";

interface PolicyArguments {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
}

/** Bytes. */
const MOST = 1 << 20;

/** The policy of this build. It was checked by the tests; a build whose policy does not load is a bug. */
export function compiledPolicy(): LoadedPolicy {
  const loaded = loadPolicy(compiled, auditCrypto.sha256);
  if (!loaded.ok) throw new Error(`the compiled policy does not load: ${loaded.error.join(" ")}`);
  return loaded.value;
}

/**
 * The policy that is in force: the build's, with what a parent laid over it. Fails closed: an overlay that is there and cannot be used means that no
 * skill runs, because it may have been the one thing that forbade what comes next.
 */
export function effectivePolicy(layout: StickLayout): Result<EffectivePolicy, readonly string[]> {
  const base = compiledPolicy();
  const text = readSmallFile(layout.policy, MOST);
  if (text.ok && text.value === null) return ok({ ...base, overlay: null });
  const value = text.ok ? json(text.value ?? "") : undefined;
  if (value === undefined) return err([`It ${text.ok ? "is not JSON" : "cannot be read"}.`]);
  const key = parentKey(layout);
  return key.ok ? applyOverlay(value, base, key.value, auditCrypto) : key;
}

/** For whoever wants a skill, and gets none. */
export function overlayRefusal(layout: StickLayout, faults: readonly string[]): Explained {
  const more = faults.length > 1 ? ` (And ${faults.length - 1} more: "noctem bark policy check ${layout.policy}" lists them.)` : "";
  const text = `No skill runs, because ${layout.policy}, which a parent laid over the rules, cannot be used. ${faults[0] ?? ""}${more} Have the parent sign it anew, or take the file away together with the parent.`;
  return { text, code: ExitCode.DENIED };
}

/** Null when there is no such file. */
function parentKey({ parentKey: path }: StickLayout): Result<Uint8Array | null, readonly string[]> {
  const key = readParentPublic(path);
  return key.ok ? ok(key.value?.publicKey ?? null) : err([key.error]);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function showPolicy({ json: asJson, heart }: PolicyArguments, io: CommandIo): number {
  const layout = stickOf(io, heart);
  const effective = effectivePolicy(layout);
  if (!effective.ok) {
    const { text, code } = overlayRefusal(layout, effective.error);
    if (asJson) io.out(`${JSON.stringify({ error: { kind: "overlay", message: text, code } })}\n`);
    io.err(`noctem: ${forTerminal(text)}\n`);
    return code;
  }
  const { policy, hash, overlay } = effective.value;
  if (asJson) {
    io.out(`${JSON.stringify({ hash, overlay, policy })}\n`);
    return ExitCode.DONE;
  }
  const rules = [...policy.commands, ...policy.paths, ...policy.hosts];
  io.out(`Policy ${hash.slice(0, 16)}\n`);
  io.out(
    overlay === null
      ? "No parent laid anything over it.\n"
      : `A parent laid ${overlay.slice(0, 16)} over it (${forTerminal(layout.policy)}).\n`,
  );
  io.out("\nSkills\n");
  for (const [name, { tier, limits }] of Object.entries(policy.skills)) {
    io.out(
      `  ${name.padEnd(12)} ${tier === 4 ? "forbidden" : `tier ${tier}`}, ${limits.wallMs / 1000} s, ${Math.round(limits.memoryBytes / 2 ** 20)} MB, ${limits.processes} processes\n`,
    );
  }
  io.out("\nRules\n");
  for (const { id, outcome, reason } of rules) io.out(`  ${outcome.padEnd(5)}  ${id.padEnd(24)} ${forTerminal(reason)}\n`);
  io.out("\nWhat no rule names is asked about. Of several rules the strictest is followed.\n");
  return ExitCode.DONE;
}

export function checkPolicy({ json: asJson, heart, file }: PolicyArguments & { readonly file: string }, io: CommandIo): number {
  const fail = (faults: readonly string[]): number => {
    if (asJson) io.out(`${JSON.stringify({ sound: false, faults })}\n`);
    for (const fault of faults) io.err(`noctem: ${forTerminal(fault)}\n`);
    return ExitCode.USAGE;
  };
  const path = resolve(io.cwd, file);
  const text = readSmallFile(path, MOST);
  if (!text.ok) return fail([`${path} cannot be read${text.error.kind === "too-large" ? `: it is larger than ${MOST} bytes` : ""}.`]);
  if (text.value === null) return fail([`There is no ${path}.`]);
  const value = json(text.value);
  if (value === undefined) return fail([`${path} is not JSON.`]);
  if (typeof value === "object" && value !== null && ("overlay" in value || "signature" in value)) {
    const key = parentKey(stickOf(io, heart));
    const applied = key.ok ? applyOverlay(value, compiledPolicy(), key.value, auditCrypto) : key;
    if (!applied.ok) return fail(applied.error);
    const { overlay, hash } = applied.value;
    io.out(
      asJson
        ? `${JSON.stringify({ sound: true, overlay, hash })}\n`
        : `${path} is signed by the parent and only tightens. Its hash is ${overlay}; with it the policy's is ${hash}.\n`,
    );
    return ExitCode.DONE;
  }
  const loaded = loadPolicy(value, auditCrypto.sha256);
  if (!loaded.ok) return fail(loaded.error);
  io.out(
    asJson ? `${JSON.stringify({ sound: true, hash: loaded.value.hash })}\n` : `${path} is sound. Its hash is ${loaded.value.hash}.\n`,
  );
  return ExitCode.DONE;
}
