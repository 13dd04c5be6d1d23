import { permitDesk } from "../bark/monitor/permit.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { hostCage } from "../platform/cage/runner.ts";
import { heartDeps } from "../platform/heart.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";

/** What each tier needs at least; below it its skills refuse. */
const NEEDS = [
  [0, "reading what the heart holds", "none"],
  [1, "reading files", "none"],
  [2, "listed commands, web pages", "namespaces"],
  [3, "other commands, code, changes to files", "namespaces"],
] as const;

export function barkDoctor({ json }: { readonly json: boolean | undefined }, io: CommandIo): number {
  const { clock } = heartDeps();
  using cage = hostCage({ permits: permitDesk(auditCrypto.sha256), clock, sha256: auditCrypto.sha256, env: process.env });
  const host = cage.host();
  const whole = host.level === "namespaces";
  const tiers = NEEDS.map(([tier, what, floor]) => ({ tier, what, works: floor === "none" || whole }));
  if (json) io.out(`${JSON.stringify({ ...host, tiers })}\n`);
  else {
    const line = (state: string, name: string, text: string): void => io.out(`${state.padEnd(8)} ${name.padEnd(12)} ${text}\n`);
    line(host.bwrap === null ? "broken" : "ok", "bubblewrap", host.bwrap ?? "not installed");
    line(whole ? "ok" : "broken", "namespaces", whole ? "a cage was built and torn down" : host.detail);
    line(
      host.landlockAbi > 0 ? "ok" : "warning",
      "Landlock",
      host.landlockAbi > 0 ? `version ${host.landlockAbi}` : "this kernel has none; the cage has one fence less",
    );
    for (const { tier, what, works } of tiers) line(works ? "ok" : "broken", `tier ${tier}`, `${what}${works ? "" : ": refused here"}`);
    if (host.fix !== "") io.out(`\n${host.fix}\n`);
  }
  return whole ? ExitCode.DONE : ExitCode.NO_CAGE;
}
