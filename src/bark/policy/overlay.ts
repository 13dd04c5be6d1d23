import * as v from "valibot";
import { canonicalJson, type Json } from "../../lib/canonical-json.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { type LoadedPolicy, loadPolicy, schemaFaults } from "./load.ts";
import { bySkill, CommandRule, HostRule, LimitsSchema, PathRule, type Policy } from "./schema.ts";

/**
 * What a parent lays over the policy of the build: a file signed by the parent's key, which may only tighten. What it says is added, and the strictest
 * rule is followed; so a skill's tier rises, limits and clearances fall, rules that ask or deny join the others, variables stay outside. It has no
 * way to say the opposite: whatever would loosen is refused by its name, and then no skill runs at all.
 */
const level = v.picklist([0, 1, 2, 3, 4]);
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

const SkillOverlay = v.strictObject({
  /** 3 has every call asked about, 4 forbids the skill. */
  tier: v.optional(level),
  clearance: v.optional(v.strictObject({ c: v.optional(level), k: v.optional(v.array(v.string())) })),
  limits: v.optional(v.partial(LimitsSchema)),
  /** Takes the network away. */
  network: v.optional(v.null()),
});

const OverlaySchema = v.strictObject({
  kind: v.literal("noctem-policy-overlay"),
  version: v.literal(1),
  /** When it was signed, in milliseconds: of two the newer counts. */
  issued: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 0),
  skills: v.optional(bySkill(SkillOverlay), {}),
  commands: v.optional(v.array(CommandRule), []),
  paths: v.optional(v.array(PathRule), []),
  hosts: v.optional(v.array(HostRule), []),
  /** Variables that stay outside from now on. */
  withoutEnvironment: v.optional(v.array(v.string()), []),
  changes: v.optional(v.partial(v.strictObject({ files: count, bytes: count })), {}),
});
type Overlay = v.InferOutput<typeof OverlaySchema>;

/** As it stands in `policy.json` beside the settings. */
const SignedSchema = v.strictObject({
  overlay: v.unknown(),
  /** Ed25519 over `overlayBytes`, in hex. */
  signature: v.pipe(v.string(), v.regex(/^[0-9a-f]{128}$/)),
});

export interface OverlayCrypto {
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly verify: (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array) => boolean;
}

/** A policy in force, and the hash of the overlay in it; null where there is none. `issued`: of the overlay; 0 where nobody says. */
export interface EffectivePolicy extends LoadedPolicy {
  readonly overlay: string | null;
  readonly issued: number;
}

/** What is signed: never bytes that could mean something else to another part of Noctem. Throws where JSON has no canonical form. */
export const overlayBytes = (overlay: unknown): Uint8Array =>
  new TextEncoder().encode(`noctem policy overlay, version 1\n${canonicalJson(overlay as Json)}`);

/** `parentKey`: 32 bytes; null where this stick has none. The errors are sentences; with any of them nothing of the overlay may be used. */
export function applyOverlay(
  value: unknown,
  base: LoadedPolicy,
  parentKey: Uint8Array | null,
  { sha256, verify }: OverlayCrypto,
): Result<EffectivePolicy, readonly string[]> {
  const signed = v.safeParse(SignedSchema, value);
  if (!signed.success) return err(schemaFaults(signed.issues, "The overlay"));
  if (parentKey === null)
    return err(["It is signed by a parent, and this stick has no parent's key to check it with. Put the key back into keys/parent.pub."]);
  const bytes = canonicalBytes(signed.output.overlay);
  if (bytes === null) return err(["It holds text or numbers that have no canonical form."]);
  if (!verify(parentKey, bytes, Uint8Array.fromHex(signed.output.signature)))
    return err(["Its signature is not the parent's: it was changed, or somebody else signed it."]);
  const parsed = v.safeParse(OverlaySchema, signed.output.overlay);
  if (!parsed.success) return err(schemaFaults(parsed.issues, "The overlay"));
  const faults = loosenings(parsed.output, base.policy);
  if (faults.length > 0) return err(faults);
  // Checked as a whole once more: its rules against their own examples, and no name twice.
  const loaded = loadPolicy(tightened(base.policy, parsed.output), sha256);
  return loaded.ok ? ok({ ...loaded.value, overlay: sha256(bytes).toHex(), issued: parsed.output.issued }) : loaded;
}

function canonicalBytes(overlay: unknown): Uint8Array | null {
  try {
    return overlayBytes(overlay);
  } catch {
    return null;
  }
}

/** Everything in it that is not strictly a tightening, each by its name. */
function loosenings(overlay: Overlay, base: Policy): readonly string[] {
  const faults: string[] = [];
  const must = (holds: boolean, sentence: string): void => void (holds || faults.push(sentence));
  for (const [name, { tier, clearance, limits }] of Object.entries(overlay.skills)) {
    const skill = base.skills[name];
    if (skill === undefined) {
      faults.push(`skills.${name}: there is no such skill to tighten.`);
      continue;
    }
    must(tier === undefined || tier >= skill.tier, `skills.${name}.tier: it may not fall from ${skill.tier} to ${tier}.`);
    must(
      clearance?.c === undefined || clearance.c <= skill.clearance.c,
      `skills.${name}.clearance.c: it may not rise from ${skill.clearance.c} to ${clearance?.c}.`,
    );
    for (const k of clearance?.k ?? [])
      must(skill.clearance.k.includes(k), `skills.${name}.clearance.k: ${plainly(k)} is closed, and may not be opened.`);
    for (const [limit, to = 0] of Object.entries(limits ?? {})) {
      const from = skill.limits[limit as keyof typeof skill.limits];
      must(to <= from, `skills.${name}.limits.${limit}: it may not rise from ${from} to ${to}.`);
    }
  }
  for (const { id, outcome } of [...overlay.commands, ...overlay.paths, ...overlay.hosts]) {
    must(outcome !== "allow", `${id}: a rule of an overlay asks or denies, it allows nothing.`);
    must(id.startsWith("parent."), `${id}: the names of an overlay's rules begin with "parent.", so that the log says whose they are.`);
  }
  for (const name of overlay.withoutEnvironment)
    must(base.environment.includes(name), `withoutEnvironment: ${plainly(name)} does not reach a cage anyway.`);
  for (const [bound, to = 0] of Object.entries(overlay.changes)) {
    const from = base.changes[bound as keyof typeof base.changes];
    must(to <= from, `changes.${bound}: it may not rise from ${from} to ${to}.`);
  }
  return faults;
}

const plainly = (text: string): string => JSON.stringify(text.slice(0, 100));

function tightened(base: Policy, overlay: Overlay): Policy {
  const skills = Object.entries(base.skills).map(([name, skill]) => {
    const { tier, clearance, limits, network } = overlay.skills[name] ?? {};
    const { network: connected, ...alone } = skill;
    return [
      name,
      {
        ...alone,
        ...(network === null || connected === undefined ? {} : { network: connected }),
        tier: tier ?? skill.tier,
        clearance: { c: clearance?.c ?? skill.clearance.c, k: clearance?.k ?? skill.clearance.k },
        limits: laidOver(skill.limits, limits),
      },
    ] as const;
  });
  return {
    ...base,
    skills: Object.fromEntries(skills),
    commands: [...base.commands, ...overlay.commands],
    paths: [...base.paths, ...overlay.paths],
    hosts: [...base.hosts, ...overlay.hosts],
    environment: base.environment.filter((name) => !overlay.withoutEnvironment.includes(name)),
    changes: laidOver(base.changes, overlay.changes),
  };
}

/** What came from JSON has no name whose value is missing, whatever its type says. */
const laidOver = <T extends object>(base: T, wish: { readonly [K in keyof T]?: T[K] | undefined } | undefined): T => ({
  ...base,
  ...(wish as Partial<T> | undefined),
});
