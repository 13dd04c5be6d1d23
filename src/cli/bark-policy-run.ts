import { resolve } from "node:path";
import compiled from "../../profiles/bark/policy.json";
import { type LoadedPolicy, loadPolicy } from "../bark/policy/load.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { publicLine, readParentPublic } from "../platform/parent-key.ts";
import { readSmallFile } from "../platform/settings-file.ts";
import { type KnownOverlay, knownOverlay, type OverlayFault, overlayFault, overlayState } from "../bark/policy/known.ts";
import type { OpenHeart } from "../heart/open.ts";
import { type HeartState, OVERLAY_STATE, PARENT_STATE } from "../heart/state.ts";
import { applyOverlay, type EffectivePolicy } from "../bark/policy/overlay.ts";
import type { StickLayout } from "../config/layout.ts";
import type { Explained } from "../headless/result-object.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { openStickHeart } from "./heart-access.ts";
import { heartExists, stickOf } from "./stick.ts";

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
  if (text.ok && text.value === null) return ok({ ...base, overlay: null, issued: 0 });
  const value = text.ok ? json(text.value ?? "") : undefined;
  if (value === undefined) return err([`It ${text.ok ? "is not JSON" : "cannot be read"}.`]);
  const key = parentKey(layout);
  return key.ok ? applyOverlay(value, base, key.value, auditCrypto) : key;
}

export interface MemoryFault {
  readonly kind: OverlayFault["kind"] | "parent" | "altered";
  readonly detail: string;
}

/** What the heart knows of the parent against what lies on the stick: whoever takes `policy.json` away, or `keys/parent.pub` with it, has not taken away the parent. */
export function memoryFault(layout: StickLayout, { state }: Pick<OpenHeart, "state">, effective: EffectivePolicy): MemoryFault | null {
  const known = knownIn(state);
  if (known === null) return { kind: "altered", detail: "What this heart knew of it was altered: noctem heart verify says where." };
  const { overlay, issued } = effective;
  const fault = overlayFault(overlay === null ? null : { hash: overlay, issued }, known);
  if (fault !== null || overlay === null) return fault;
  const expected = state.get(PARENT_STATE);
  const key = readParentPublic(layout.parentKey);
  const isOther = expected !== null && key.ok && key.value !== null && publicLine(key.value).trim() !== expected;
  return isOther ? { kind: "parent", detail: `${layout.parentKey} is another parent's than this heart knows: ${expected}` } : null;
}

/** The newest that is known, and so the least that a new one has to be. */
export const newestIssued = (state: HeartState): number => Math.max(0, ...(knownIn(state) ?? []).map(({ issued }) => issued));

/** From the first time on that an overlay is in force. */
export function rememberOverlay({ mode, state }: Pick<OpenHeart, "mode" | "state">, { overlay, issued }: EffectivePolicy): void {
  if (mode.kind !== "stored" || overlay === null) return;
  const key = overlayState({ hash: overlay, issued });
  // Where it cannot be written, the call's own entry in the log cannot be either, and that refuses it.
  if (state.get(key) === null) state.set(key, "seen");
}

function knownIn(state: HeartState): readonly KnownOverlay[] | null {
  return state.keysUnder(OVERLAY_STATE)?.flatMap((key) => knownOverlay(key) ?? []) ?? null;
}

/** For whoever wants a skill, and gets none. */
export function overlayRefusal(layout: StickLayout, faults: readonly string[]): Explained {
  const more = faults.length > 1 ? ` (And ${faults.length - 1} more: "noctem bark policy check ${layout.policy}" lists them.)` : "";
  const text = `No skill runs, because ${layout.policy}, which a parent laid over the rules, cannot be used. ${faults[0] ?? ""}${more} Put it back, or have the parent sign one: noctem parent sign-policy. One that says nothing lifts it.`;
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
  const faults = effective.ok ? faultsByMemory(layout, effective.value) : effective.error;
  if (!effective.ok || faults.length > 0) {
    const { text, code } = overlayRefusal(layout, faults);
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

/** Of a heart that is there and can be opened; nothing is written. */
function faultsByMemory(layout: StickLayout, effective: EffectivePolicy): readonly string[] {
  const opened = heartExists(layout) ? openStickHeart(layout) : null;
  if (opened === null || !opened.ok) return [];
  using heart = opened.value;
  const fault = memoryFault(layout, heart, effective);
  return fault === null ? [] : [fault.detail];
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
