import { UNHURRIED } from "../bark/cage/children.ts";
import { TIER_FLOORS } from "../bark/cage/floors.ts";
import { permitDesk } from "../bark/monitor/permit.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { findBusProxy } from "../platform/cage/bus.ts";
import { runGroup } from "../platform/cage/cgroup.ts";
import { deviceFacts } from "../platform/cage/own-facts.ts";
import { probeTier } from "../platform/cage/probe.ts";
import { hostCage } from "../platform/cage/runner.ts";
import { hostFacts } from "../platform/doctor-probes.ts";
import { heartDeps } from "../platform/heart.ts";
import { compiledPolicy } from "./bark-policy-run.ts";
import type { CommandIo } from "./command.ts";
import { checkBus, checkGpuNodes, checkGroups, checkHostCage, checkTier } from "./doctor-cage.ts";
import { engineCage, fetchCage, trainerCage } from "./doctor-children.ts";
import { type Finding, findingLine } from "./doctor-finding.ts";
import { ExitCode } from "./exit-code.ts";
import { stickOf } from "./stick.ts";

/** Whose limits the probe of a tier runs under. */
const SKILL_OF = { 1: "file_ops", 2: "shell", 3: "code_exec" } as const;

/** Builds each cage that there is on this computer, looks at it from the inside, and says what holds. */
export async function barkDoctor({ json }: { readonly json: boolean | undefined }, io: CommandIo): Promise<number> {
  const { clock } = heartDeps();
  const { sha256 } = auditCrypto;
  const permits = permitDesk(sha256);
  using cage = hostCage({ permits, clock, sha256, env: process.env });
  using whole = hostCage({ permits, clock, sha256, env: process.env, standby: false });
  const tools = { cage, permits, clock, sha256 };
  const host = cage.host();
  const findings: Finding[] = [];
  let overlay: boolean | null = null;
  const say = (found: readonly Finding[]): void => {
    findings.push(...found);
    if (!json) for (const finding of found) io.out(findingLine(finding, io));
  };
  say(checkHostCage(host, hostFacts().inside));
  const { policy } = compiledPolicy();
  const limitsOf = (skill: string) => policy.skills[skill]?.limits ?? UNHURRIED;
  for (const { tier } of TIER_FLOORS) {
    if (tier === 0) {
      say(checkTier(0, host, null, 0));
      continue;
    }
    const limits = limitsOf(SKILL_OF[tier]);
    // Calls that write nothing run in a cage that stands ready, or in one that is built whole: what either lacks the tier lacks.
    let found: readonly Finding[] = [];
    for (const of of tier === 3 ? [cage] : [cage, whole]) {
      const probed = await probeTier(tier, limits, { ...tools, cage: of });
      if (probed.ok && probed.value.view !== null) overlay = probed.value.view === "overlay";
      found = checkTier(tier, host, probed, limits.processes);
      if (found.some(({ state }) => state === "broken")) break;
    }
    say(found);
    if (io.signal.aborted) return ExitCode.SIGINT;
  }
  const { models } = stickOf(io, undefined);
  say([await engineCage(models, host.detail), await trainerCage(models, host.detail)]);
  const fetching = policy.skills["web_fetch"];
  if (fetching?.network !== undefined) {
    const { rules: _rules, ...reach } = fetching.network;
    const ready = await fetchCage(fetching.limits, reach, tools, host.detail);
    say([ready.state === "broken" ? ready : await fetchCage(fetching.limits, reach, { ...tools, cage: whole }, host.detail)]);
  }
  const services = Object.values(policy.skills).flatMap(({ dbus = [] }) => dbus.map(({ name }) => name));
  say([checkBus([...new Set(services)], findBusProxy())]);
  const machine = deviceFacts(io.env);
  say([checkGroups(process.geteuid?.() === 0 ? groupCanBeMade(limitsOf("shell")) : null), checkGpuNodes(machine.devices, machine.packs)]);

  const code = findings.find((finding) => finding.state === "broken")?.code ?? ExitCode.DONE;
  if (json) {
    const tiers = TIER_FLOORS.map(({ tier, what }) => ({ tier, what, works: stateOf(findings, `tier ${tier}`) !== "broken" }));
    const told = findings.map(({ name, state, text, fix }) => ({ name, state, text, fix }));
    io.out(`${JSON.stringify({ ...host, overlay, tiers, findings: told, code })}\n`);
  }
  return code;
}

const stateOf = (findings: readonly Finding[], name: string): Finding["state"] =>
  findings.find((finding) => finding.name === name)?.state ?? "broken";

function groupCanBeMade(limits: Parameters<typeof runGroup>[1]): boolean {
  using group = runGroup(`noctem-${process.pid}-doctor`, limits);
  return group !== null;
}
