import { auditLog } from "../audit/log.ts";
import { executor } from "../bark/execute.ts";
import { ReferenceMonitor } from "../bark/monitor/monitor.ts";
import { permitDesk } from "../bark/monitor/permit.ts";
import { auditTrail } from "../bark/monitor/trail.ts";
import { ATTACKS } from "../bark/redteam/attacks.ts";
import { attackOnce } from "../bark/redteam/run.ts";
import type { AttackResult } from "../bark/redteam/types.ts";
import { ok } from "../lib/result.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { hostCage } from "../platform/cage/runner.ts";
import { heartDeps } from "../platform/heart.ts";
import { Stage } from "../platform/redteam/stage.ts";
import { hostPrograms, workspaceReader } from "../platform/skills/reader.ts";
import { workspaceSteps } from "../platform/workspace/apply.ts";
import { workspaceWriter } from "../platform/workspace/writer.ts";
import { compiledPolicy } from "./bark-policy-run.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { openMemoryHeart } from "./heart-access.ts";

interface RedteamArguments {
  readonly json: boolean | undefined;
  /** Only attacks whose id or group contains this. */
  readonly only: string | undefined;
}

/** Every attack through the real monitor and the real cage, with a heart in memory and a stage of its own. */
export async function redteam({ json, only }: RedteamArguments, io: CommandIo): Promise<number> {
  const { clock, random } = heartDeps();
  const { sha256 } = auditCrypto;
  const { policy, hash } = compiledPolicy();
  using heart = openMemoryHeart();
  using stage = new Stage();
  const permits = permitDesk(sha256);
  using cage = hostCage({ permits, clock, sha256, env: process.env });
  const { level, detail, fix } = cage.host();
  if (level !== "namespaces") {
    io.err(`noctem: There is no cage here to attack. ${detail} ${fix}\n`);
    return ExitCode.NO_CAGE;
  }
  const key = auditCrypto.ephemeral();
  const log = auditLog({ heart: heart.audit, heartId: heart.id, crypto: auditCrypto, random, stick: () => ok(key) });
  let step = 0;
  const steps = workspaceSteps(
    stage.state,
    () => clock.now(),
    () => String(++step).padStart(6, "0"),
  );
  const monitor = new ReferenceMonitor({
    clearanceOf: () => ({ c: 2, k: ["files"] }),
    tierOf: () => 0,
    policy: hash,
    audit: auditTrail(
      log,
      () => undefined,
      () => "the log in memory failed",
    ),
    approvals: null,
    permits,
    clock,
    executor: executor({
      permits,
      cage,
      clock,
      sha256,
      workspace: stage.workspace,
      writer: workspaceWriter({ steps, bounds: policy.changes, pending: null }),
    }),
  });
  const reader = workspaceReader(stage.workspace, () => stage.state);
  const chosen = ATTACKS.filter(({ id, group }) => only === undefined || id.includes(only) || group.includes(only));
  const results: AttackResult[] = [];
  for (const attack of chosen) {
    if (io.signal.aborted) break;
    const result = await attackOnce(attack, {
      monitor,
      policy,
      stage,
      program: (name) => hostPrograms.find(name),
      secrets: (isSecret) => reader.secrets(isSecret),
      signal: io.signal,
    });
    results.push(result);
    if (json !== true && (result.result === "open" || io.stderrIsTerminal))
      io.err(`${result.result.padEnd(9)} ${result.group.padEnd(16)} ${result.id}: ${result.reason}\n`);
  }
  const count = (wanted: AttackResult["result"]): number => results.filter(({ result }) => result === wanted).length;
  if (json) io.out(`${JSON.stringify({ attacks: results })}\n`);
  else
    io.out(
      `${results.length} attacks: ${count("held")} held, ${count("open")} open, ${count("simulated")} simulated, ${count("skipped")} skipped.\n`,
    );
  return count("open") > 0 ? ExitCode.NO_CAGE : ExitCode.DONE;
}
