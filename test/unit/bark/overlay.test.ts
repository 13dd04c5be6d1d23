import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import compiled from "../../../profiles/bark/policy.json";
import { decide } from "../../../src/bark/monitor/decide.ts";
import { judgeCommand, judgeHost, judgePath } from "../../../src/bark/policy/judge.ts";
import { type LoadedPolicy, loadPolicy } from "../../../src/bark/policy/load.ts";
import { applyOverlay, overlayBytes } from "../../../src/bark/policy/overlay.ts";
import type { Policy } from "../../../src/bark/policy/schema.ts";
import type { AccessRequest } from "../../../src/bark/types.ts";
import { auditCrypto } from "../../../src/platform/audit-crypto.ts";
import { pointOf, PRODUCTS, sizeOf, STRICTNESS } from "../../support/monitor-product.ts";
import { anyHost, anyLine, anyOverlay, anyPath, anyPolicy, anySkill } from "../../support/policies.ts";

const parent = auditCrypto.ephemeral();
const signed = (overlay: unknown, by = parent): unknown => ({ overlay, signature: by.sign(overlayBytes(overlay)).toHex() });
const baseOf = (policy: unknown): LoadedPolicy => {
  const loaded = loadPolicy(policy, auditCrypto.sha256);
  if (!loaded.ok) throw new Error(loaded.error.join("\n"));
  return loaded.value;
};
const BASE = baseOf(compiled);
const HEAD = { kind: "noctem-policy-overlay", version: 1 };
const apply = (value: unknown, key: Uint8Array | null = parent.publicKey) => applyOverlay(value, BASE, key, auditCrypto);
const faults = (value: unknown, key?: Uint8Array | null): string => {
  const applied = apply(value, key);
  return applied.ok ? "" : applied.error.join("\n");
};

describe("an overlay of the policy", () => {
  const rule = (outcome: string, id = "parent.no-git") => ({
    id,
    outcome,
    reason: "Not here.",
    programs: ["git"],
    match: ["git log"],
    not_match: ["ls"],
  });

  test("tightens what it names and leaves the rest", () => {
    const overlay = {
      ...HEAD,
      skills: { shell: { tier: 3, network: null, limits: { wallMs: 1000 }, clearance: { c: 1, k: ["files"] } }, code_exec: { tier: 4 } },
      commands: [rule("deny")],
      hosts: [
        {
          id: "parent.no-docs",
          outcome: "deny",
          reason: "Not here.",
          hosts: ["docs.rs"],
          ports: [443],
          match: ["docs.rs"],
          not_match: ["a.test"],
        },
      ],
      withoutEnvironment: ["TZ"],
      changes: { files: 10 },
    };
    const applied = apply(signed(overlay));
    if (!applied.ok) throw new Error(applied.error.join("\n"));
    const { policy, hash, overlay: of } = applied.value;
    expect(policy.skills["shell"]).toMatchObject({ tier: 3, clearance: { c: 1, k: ["files"] }, limits: { wallMs: 1000, cpuSeconds: 120 } });
    expect(policy.skills["code_exec"]?.tier).toBe(4);
    expect(policy.skills["memory"]).toEqual(BASE.policy.skills["memory"]);
    expect(judgeCommand(policy, "git log")).toMatchObject({ outcome: "deny", rule: "parent.no-git" });
    expect([policy.skills["shell"]?.network, policy.skills["code_exec"]?.network]).toEqual([
      undefined,
      BASE.policy.skills["code_exec"]?.network,
    ]);
    expect(judgeCommand(policy, "ls")).toMatchObject({ outcome: "allow" });
    expect(judgeHost(policy, "docs.rs", 443).outcome).toBe("deny");
    expect(policy.environment).not.toContain("TZ");
    expect(policy.changes).toEqual({ files: 10, bytes: compiled.changes.bytes });
    expect(hash).not.toBe(BASE.hash);
    expect(of).toBe(auditCrypto.sha256(overlayBytes(overlay)).toHex());
  });

  test.each<[string, unknown]>([
    ["skills.shell.tier: it may not fall", { skills: { shell: { tier: 1 } } }],
    ["skills.code_exec.tier: it may not fall", { skills: { code_exec: { tier: 2 } } }],
    ["skills.shell.clearance.c: it may not rise", { skills: { shell: { clearance: { c: 3 } } } }],
    ['skills.file_ops.clearance.k: "web" is closed', { skills: { file_ops: { clearance: { k: ["files", "web"] } } } }],
    ["skills.shell.limits.wallMs: it may not rise", { skills: { shell: { limits: { wallMs: 120_001 } } } }],
    ["skills.shel: there is no such skill", { skills: { shel: { tier: 4 } } }],
    ["parent.no-git: a rule of an overlay asks or denies", { commands: [rule("allow")] }],
    ['my.rule: the names of an overlay\'s rules begin with "parent."', { commands: [rule("deny", "my.rule")] }],
    ["parent.no-git: there are two rules of this name", { commands: [rule("deny"), rule("ask")] }],
    ["parent.no-git: it should match", { commands: [{ ...rule("deny"), programs: ["hg"] }] }],
    ["does not reach a cage anyway", { withoutEnvironment: ["LD_PRELOAD"] }],
    ["changes.files: it may not rise", { changes: { files: 2001 } }],
    ["environment: ", { environment: ["LD_PRELOAD"] }],
    ["version: ", { version: 2 }],
    ["kind: ", { kind: "noctem-policy" }],
    ["skills.shell.enabled: ", { skills: { shell: { enabled: true } } }],
  ])("that would loosen is refused by name: %s", (sentence, part) => {
    const overlay = { ...HEAD, ...(part as object) };
    expect(faults(signed(overlay))).toContain(sentence);
  });

  test("is the parent's, whole and unchanged, or nothing", () => {
    const overlay = { ...HEAD, skills: { shell: { tier: 4 } } };
    const good = signed(overlay) as { overlay: object; signature: string };
    expect(faults(good)).toBe("");
    // Not the order of names but what they say is signed.
    expect(faults({ signature: good.signature, overlay: Object.fromEntries(Object.entries(overlay).toReversed()) })).toBe("");
    const foreign = "not the parent's";
    expect(faults(signed(overlay, auditCrypto.ephemeral()))).toContain(foreign);
    expect(faults({ ...good, overlay: HEAD })).toContain(foreign);
    expect(faults({ ...good, overlay: { ...overlay, changes: { files: 5 } } })).toContain(foreign);
    expect(faults({ ...good, signature: `${good.signature.slice(0, -1)}${good.signature.endsWith("0") ? "1" : "0"}` })).toContain(foreign);
    // The signature of something else that the parent signed is none of this.
    const bare = new TextEncoder().encode(JSON.stringify(overlay));
    expect(faults({ overlay, signature: parent.sign(bare).toHex() })).toContain(foreign);
    expect(faults(good, null)).toContain("keys/parent.pub");
    expect(faults(good, new Uint8Array(32))).toContain(foreign);
    expect(faults(good, new Uint8Array(5))).toContain(foreign);
    for (const broken of [overlay, { overlay }, { ...good, signature: "" }, { ...good, more: 1 }, null, [], "x", 7])
      expect(faults(broken)).not.toBe("");
    expect(faults({ overlay: { ...overlay, x: "\ud800" }, signature: good.signature })).toContain("canonical form");
    expect(faults({ overlay: undefined, signature: good.signature })).not.toBe("");
  });

  test("that is accepted is at least as strict, whatever the policy below it, the command, the path, the host, the access", () => {
    let accepted = 0;
    let stricter = 0;
    const points = Object.values(PRODUCTS).map((axes) => fc.nat({ max: sizeOf(axes) - 1 }).map((at) => pointOf(axes, at)));
    fc.assert(
      fc.property(
        anyPolicy,
        anyOverlay,
        fc.array(anyLine, { minLength: 5, maxLength: 5 }),
        fc.array(anyPath, { minLength: 5, maxLength: 5 }),
        fc.array(anyHost, { minLength: 3, maxLength: 3 }),
        fc.array(fc.tuple(anySkill, fc.oneof(...points)), { minLength: 5, maxLength: 5 }),
        (policy, overlay, lines, paths, hosts, accesses) => {
          const below = baseOf(policy);
          const applied = applyOverlay(signed(overlay), below, parent.publicKey, auditCrypto);
          if (!applied.ok) {
            expect(applied.error.length).toBeGreaterThan(0);
            return;
          }
          accepted++;
          const [lax, strict] = [below.policy, applied.value.policy];
          const atLeast = (what: string, before: number, after: number): void => {
            if (after > before) stricter++;
            expect(after, `${what} ${JSON.stringify(overlay)}`).toBeGreaterThanOrEqual(before);
          };
          for (const line of lines) {
            const [before, after] = [judgeCommand(lax, line), judgeCommand(strict, line)];
            atLeast(line, STRICTNESS[before.outcome] * 8 + before.tier, STRICTNESS[after.outcome] * 8 + after.tier);
          }
          for (const path of paths)
            for (const operation of ["read", "write"] as const) {
              const [before, after] = [judgePath(lax, operation, path), judgePath(strict, operation, path)];
              atLeast(path, STRICTNESS[before.outcome], STRICTNESS[after.outcome]);
              atLeast(path, before.confidentiality, after.confidentiality);
            }
          for (const [host, port] of hosts)
            atLeast(host, STRICTNESS[judgeHost(lax, host, port).outcome], STRICTNESS[judgeHost(strict, host, port).outcome]);
          for (const [skill, access] of accesses) {
            const [before, after] = [decide(under(lax, skill, access)), decide(under(strict, skill, access))];
            atLeast(skill, STRICTNESS[before.outcome] * 8 + before.tier, STRICTNESS[after.outcome] * 8 + after.tier);
          }
          for (const [name, { limits }] of Object.entries(lax.skills))
            for (const [limit, from] of Object.entries(limits))
              atLeast(
                `${name} ${limit}`,
                -from,
                -(Object.entries(strict.skills[name]?.limits ?? {}).find(([of]) => of === limit)?.[1] ?? Infinity),
              );
          for (const [name, { network }] of Object.entries(strict.skills))
            if (network !== undefined) expect(network).toEqual(lax.skills[name]?.network as typeof network);
          expect(strict.environment.filter((name) => !lax.environment.includes(name))).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
    expect(accepted).toBeGreaterThan(20);
    expect(stricter).toBeGreaterThan(50);
  }, 60_000);

  /** An access by this skill, as the monitor makes it with a policy. */
  function under({ skills }: Policy, skill: string, access: AccessRequest): AccessRequest {
    const { tier = 4, clearance = { c: 0, k: [] } } = skills[skill] ?? {};
    return { ...access, skill, clearance, tier: access.tier > tier ? access.tier : tier };
  }
});
