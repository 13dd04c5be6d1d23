import { auditLog } from "../audit/log.ts";
import { renderApproval } from "../bark/approvals.ts";
import { executor } from "../bark/execute.ts";
import { type AuditTrail, type CallReport, ReferenceMonitor } from "../bark/monitor/monitor.ts";
import { type PermitDesk, permitDesk } from "../bark/monitor/permit.ts";
import { auditTrail } from "../bark/monitor/trail.ts";
import type { Arena, Asked } from "../bark/redteam/run.ts";
import { meetsOwnFiles } from "../config/workspace.ts";
import { ok } from "../lib/result.ts";
import type { Label } from "../lib/label.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { type HostCage, hostCage } from "../platform/cage/runner.ts";
import { heartDeps } from "../platform/heart.ts";
import { RACE_SCENES } from "../platform/redteam/races.ts";
import { Stage } from "../platform/redteam/stage.ts";
import { hostPrograms, workspaceReader } from "../platform/skills/reader.ts";
import { workspaceSteps, type WorkspaceSteps } from "../platform/workspace/apply.ts";
import { workspaceWriter } from "../platform/workspace/writer.ts";
import { fileOps } from "../skills/file-ops.ts";
import { memory, signalSend, taskStatus } from "../skills/heart-skills.ts";
import { registry } from "../skills/registry.ts";
import { codeExec, shell } from "../skills/run.ts";
import { environmentFor, ownFiles } from "./bark-desk.ts";
import { compiledPolicy } from "./bark-policy-run.ts";
import { OTHER_SCENES } from "./bark-redteam-scenes.ts";
import type { CommandIo } from "./command.ts";
import { openMemoryHeart } from "./heart-access.ts";

/** The real monitor, skills and cage, with a heart in memory and a stage of its own. One attack at a time. */
export interface HostArena extends Arena, Disposable {
  readonly stage: Stage;
  readonly cage: HostCage;
  readonly permits: PermitDesk;
  readonly steps: WorkspaceSteps;
  readonly io: CommandIo;
  /** Swaps that a race goes on for at least. */
  readonly swaps: number;
  /** Another trail, such as one that cannot be written. */
  monitorWith(approvals: Asked["answer"], audit?: AuditTrail): ReferenceMonitor;
}

const PERSON: Label = { c: 0, k: [], i: 3, p: [] };

/** Variables that a hostile project, or an unlucky login, may have in the environment that Noctem starts in. */
const HOSTILE = {
  LD_PRELOAD: "/tmp/evil.so",
  BASH_ENV: "/tmp/evil",
  ENV: "/tmp/evil",
  GIT_SSH_COMMAND: "evil",
  PAGER: "evil",
  NODE_OPTIONS: "--require=/tmp/evil",
  PYTHONPATH: "/tmp",
  GLIBC_TUNABLES: "glibc.malloc.check=3",
  DBUS_SESSION_BUS_ADDRESS: "unix:path=/tmp/bus",
  XDG_RUNTIME_DIR: "/tmp",
  SSH_AUTH_SOCK: "/tmp/agent",
  WAYLAND_DISPLAY: "wayland-0",
  DOCKER_HOST: "unix:///tmp/docker.sock",
  PATH: ".:/tmp",
  HOME: "/tmp",
  IFS: "x",
  LANG: "$(evil)",
} as const;

export function hostArena(io: CommandIo, swaps: number, anew: boolean): HostArena {
  using stack = new DisposableStack();
  const { clock, random } = heartDeps();
  const { sha256 } = auditCrypto;
  const { policy, hash } = compiledPolicy();
  const heart = stack.use(openMemoryHeart());
  const stage = stack.use(new Stage(hostPrograms.find("python3")));
  const permits = permitDesk(sha256);
  const cage = stack.use(
    hostCage({
      permits,
      clock,
      sha256,
      env: { ...process.env, ...HOSTILE, CANARY: stage.canary, HOME: process.env["HOME"] },
      network: stage.network,
      standby: !anew,
    }),
  );
  const key = auditCrypto.ephemeral();
  const log = auditLog({ heart: heart.audit, heartId: heart.id, crypto: auditCrypto, random, stick: () => ok(key) });
  const trail = auditTrail(
    log,
    () => undefined,
    () => "the log in memory failed",
    sha256,
  );
  let step = 0;
  const steps = workspaceSteps(
    stage.state,
    () => clock.now(),
    () => String(++step).padStart(6, "0"),
  );
  const own = ownFiles(stage.layout);
  const reader = (workspace: string) =>
    workspaceReader(
      workspace,
      () => stage.folder,
      (path) => meetsOwnFiles(path, stage.layout),
      own,
    );
  const env = environmentFor(policy, { ...HOSTILE, CANARY: stage.canary });
  const deps = { policy, reader, programs: hostPrograms, env };
  const skills = registry([taskStatus(heart), memory(heart), fileOps(reader, policy), shell(deps), codeExec(deps), signalSend]);
  const monitorWith: HostArena["monitorWith"] = (answer, audit = trail) =>
    new ReferenceMonitor({
      clearanceOf: (skill) => policy.skills[skill]?.clearance ?? { c: 2, k: ["files"] },
      tierOf: (skill) => policy.skills[skill]?.tier ?? 0,
      policy: hash,
      audit,
      approvals:
        answer === null
          ? null
          : {
              who: "stage",
              // As on a terminal: what cannot be shown whole is not asked.
              ask: async (question) => (renderApproval(question).kind === "uninspectable" ? "denied" : await answer(question)),
            },
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
  const alone = monitorWith(null);
  const call = async (
    monitor: ReferenceMonitor,
    request: Pick<Parameters<ReferenceMonitor["call"]>[0], "skill" | "args" | "prepared" | "context" | "remark">,
  ): Promise<CallReport> => await monitor.call({ ...request, said: [], plan: null, signal: io.signal });
  const owned = stack.move();
  const arena: HostArena = {
    policy,
    stage,
    cage,
    permits,
    steps,
    env,
    io,
    swaps,
    monitorWith,
    program: (name) => hostPrograms.find(name),
    secrets: (workspace, isSecret) => reader(workspace).secrets(isSecret),
    signal: io.signal,
    perform: async (skill, prepared) => await call(alone, { skill, args: {}, prepared, context: PERSON, remark: null }),
    async ask({ skill, args, context, remark, answer }) {
      const prepared = await skills.prepare(skill, args, { workspace: stage.workspace, signal: io.signal });
      if (!prepared.ok) return { refusal: prepared.error.detail };
      return {
        report: await call(answer === null ? alone : monitorWith(answer), { skill, args, prepared: prepared.value, context, remark }),
      };
    },
    async scene(id) {
      const scene = SCENES[id];
      return scene === undefined ? { result: "skipped", reason: "there is no such scene" } : await scene(arena);
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
  return arena;
}

const SCENES: Readonly<Record<string, (arena: HostArena) => Promise<import("../bark/redteam/types.ts").Verdict>>> = {
  ...RACE_SCENES,
  ...OTHER_SCENES,
};
