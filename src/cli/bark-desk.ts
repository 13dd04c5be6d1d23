import { mkdirSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { AuditLog } from "../audit/log.ts";
import { executor } from "../bark/execute.ts";
import { ReferenceMonitor } from "../bark/monitor/monitor.ts";
import { permitDesk } from "../bark/monitor/permit.ts";
import { auditTrail } from "../bark/monitor/trail.ts";
import type { PendingStore } from "../bark/pending.ts";
import type { Policy } from "../bark/policy/schema.ts";
import type { StickLayout } from "../config/layout.ts";
import { meetsOwnFiles, workspaceOf } from "../config/workspace.ts";
import { heartErrorText } from "./error-text.ts";
import type { Explained } from "../headless/result-object.ts";
import type { OpenHeart } from "../heart/open.ts";
import type { Label } from "../lib/label.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { auditCrypto } from "../platform/audit-crypto.ts";
import { type HostCage, hostCage } from "../platform/cage/runner.ts";
import { heartDeps } from "../platform/heart.ts";
import { fetchProgram } from "../platform/fetch/program.ts";
import { hostPrograms, workspaceReader } from "../platform/skills/reader.ts";
import { PrivateFolder } from "../platform/private-folder.ts";
import { workspaceSteps, type WorkspaceSteps } from "../platform/workspace/apply.ts";
import { pendingStore } from "../platform/workspace/pending.ts";
import { workspaceWriter } from "../platform/workspace/writer.ts";
import { fileOps } from "../skills/file-ops.ts";
import { memory, signalSend, taskStatus } from "../skills/heart-skills.ts";
import { type Registry, registry } from "../skills/registry.ts";
import { codeExec, shell } from "../skills/run.ts";
import { webFetch } from "../skills/web-fetch.ts";
import { allowedBy, askingOf, deskFor, gateOf, grantsOf } from "./approval-desk.ts";
import { effectivePolicy, memoryFault, overlayRefusal, rememberOverlay } from "./bark-policy-run.ts";
import { auditFailureText, noteInLog, stickLog } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { openStickHeart } from "./heart-access.ts";
import { loadSettings, stickOf } from "./stick.ts";

export interface BarkArguments {
  readonly json: boolean | undefined;
  readonly heart: string | undefined;
  readonly workspace: string | undefined;
  readonly approvals?: string | undefined;
  readonly allow?: string | undefined;
}

/** Everything that a call of a skill passes through, wired for one command. */
export interface BarkDesk extends Disposable {
  readonly layout: StickLayout;
  readonly heart: OpenHeart;
  readonly workspace: string;
  readonly policy: Policy;
  readonly policyHash: string;
  readonly registry: Registry;
  readonly monitor: ReferenceMonitor;
  readonly log: AuditLog;
  /** Of what stands on the command line: the person typed it themselves, and nothing else is in the context. Less where there is a parent who has not opened the door. */
  readonly typed: Label;
  readonly cage: HostCage;
  readonly steps: WorkspaceSteps;
  readonly pending: PendingStore;
}

export function barkDesk(args: BarkArguments, io: CommandIo): Result<BarkDesk, Explained> {
  const layout = stickOf(io, args.heart);
  const workspace = workspaceFor(args, layout, io);
  if (!workspace.ok) return workspace;
  const effective = effectivePolicy(layout);
  if (!effective.ok) return err(overlayRefusal(layout, effective.error));
  const { policy, hash } = effective.value;
  const opened = openStickHeart(layout);
  if (!opened.ok) return err(heartErrorText(opened.error));
  const heart = opened.value;
  const fault = memoryFault(layout, heart, effective.value);
  if (fault !== null) {
    heart.incidents.count(`policy.${fault.kind}`, 4, fault.detail);
    heart[Symbol.dispose]();
    noteInLog(layout, [{ kind: "incident", what: `policy.${fault.kind}`, detail: fault.detail, severity: 4 }], io);
    return err(overlayRefusal(layout, [fault.detail]));
  }
  rememberOverlay(heart, effective.value);
  const { clock } = heartDeps();
  const { sha256 } = auditCrypto;
  const asking = askingOf(args.approvals, io);
  if (!asking.ok) {
    heart[Symbol.dispose]();
    return err({ text: asking.error, code: ExitCode.USAGE });
  }
  const permits = permitDesk(sha256);
  const cage = hostCage({ permits, clock, sha256, env: process.env });
  const staging = new PrivateFolder(process.env);
  const steps = stepsOf(layout);
  const pending = pendingOf(layout);
  for (const sentence of steps.recover()) io.err(`noctem: ${sentence}\n`);
  const log = stickLog(layout, heart, () => [{ kind: "policy", hash, overlay: effective.value.overlay ?? "" }]);
  const parts = { layout, heart, log, io, workspace: workspace.value };
  const allowed = allowedBy(args.allow, parts);
  if (!allowed.ok) {
    heart[Symbol.dispose]();
    return allowed;
  }
  const gate = gateOf(parts);
  const reader = (at: string) =>
    workspaceReader(
      at,
      () => staging.path(),
      (path) => meetsOwnFiles(path, layout),
      ownFiles(layout),
    );
  const env = environmentFor(policy, io.env);
  const deps = { policy, reader, programs: hostPrograms, env };
  const fetching = webFetch({ policy, program: fetchProgram() });
  const monitor = new ReferenceMonitor({
    clearanceOf: (skill) => policy.skills[skill]?.clearance ?? { c: 0, k: [] },
    // What no policy names, nobody may do.
    tierOf: (skill) => policy.skills[skill]?.tier ?? 4,
    policy: hash,
    audit: auditTrail(log, (kind, severity, detail) => void heart.incidents.count(kind, severity, detail), auditFailureText, sha256),
    approvals: deskFor(asking.value, parts, gate),
    grants: grantsOf(parts, allowed.value),
    permits,
    clock,
    executor: executor({
      permits,
      cage,
      clock,
      sha256,
      workspace: workspace.value,
      writer: workspaceWriter({ steps, bounds: policy.changes, pending }),
    }),
  });
  return ok({
    layout,
    heart,
    workspace: workspace.value,
    policy,
    policyHash: hash,
    cage,
    steps,
    pending,
    monitor,
    log,
    typed: { c: 0, k: [], i: gate.locked() ? 2 : 3, p: [] },
    registry: registry([taskStatus(heart), memory(heart), fileOps(reader, policy), shell(deps), codeExec(deps), fetching, signalSend]),
    [Symbol.dispose]() {
      // A session without its end was cut off. That this one could not be written changes nothing that was done.
      log.end("done");
      cage[Symbol.dispose]();
      staging[Symbol.dispose]();
      heart[Symbol.dispose]();
    },
  });
}

export function stepsOf(layout: StickLayout): WorkspaceSteps {
  const { clock } = heartDeps();
  return workspaceSteps(layout.undo, () => clock.now(), stampedName);
}

export function pendingOf(layout: StickLayout): PendingStore {
  const { clock } = heartDeps();
  return pendingStore(layout.pending, () => clock.now(), stampedName);
}

/** Such names sort by time, and two of one moment do not meet. */
function stampedName(): string {
  const { clock, random } = heartDeps();
  return `${String(clock.now()).padStart(15, "0")}-${random.bytes(4).toHex()}`;
}

/** Resolved, free of links, a folder, and none of Noctem's own. */
export function workspaceFor(args: BarkArguments, layout: StickLayout, io: CommandIo): Result<string, Explained> {
  const loaded = loadSettings(layout, io, args.workspace === undefined ? {} : { workspace: args.workspace });
  const settings = loaded.ok ? loaded.value.settings.workspace : (args.workspace ?? null);
  const { path, because } = workspaceOf({ asked: args.workspace ?? settings, setting: null, cwd: real(io.cwd) ?? io.cwd, layout });
  // Nobody named it, so nobody can be asked to make it first.
  if (because === "own-files") makeFolder(path);
  const found = real(path);
  if (found === null || !statSync(found).isDirectory()) return err({ text: `The workspace ${path} is no folder.`, code: ExitCode.USAGE });
  if (meetsOwnFiles(found, layout) || isMountedOwn(found, layout))
    return err({
      text: `The workspace ${found} holds Noctem's own files, or lies among them. Choose another with --workspace.`,
      code: ExitCode.DENIED,
    });
  if (found === "/") return err({ text: "The whole computer is no workspace. Choose a folder with --workspace.", code: ExitCode.DENIED });
  return ok(found);
}

/** Where nothing stands yet; what cannot be made is told by whoever needs it. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch {
    // It is there, or the stick cannot be written.
  }
}

/**
 * The stick mounted at a second place has other paths and the same folders: told by device and inode, of the workspace, of what is above it, and of what is
 * above Noctem's own files.
 */
function isMountedOwn(workspace: string, layout: StickLayout): boolean {
  const above = (path: string): readonly string[] => {
    const ids: string[] = [];
    for (let at = path; ; at = dirname(at)) {
      const stat = statSync(at, { throwIfNoEntry: false });
      if (stat !== undefined) ids.push(`${stat.dev}:${stat.ino}`);
      if (at === dirname(at)) return ids;
    }
  };
  const around = above(workspace);
  const work = statSync(layout.work, { throwIfNoEntry: false });
  if (work !== undefined && around.includes(`${work.dev}:${work.ino}`)) return false;
  const own = [layout.root, layout.heart, layout.keys, layout.backups, layout.undo];
  return own.some((path) => {
    const ids = above(path);
    // What is not there yet has a folder that it will be in; that folder alone is nobody's.
    const there = statSync(path, { throwIfNoEntry: false }) !== undefined;
    return ids.includes(around[0] ?? "") || (there && around.includes(ids[0] ?? ""));
  });
}

function real(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

/** What no skill reads by another name either. */
export const ownFiles = ({ heart, keys, settings, policy, parentKey }: StickLayout): readonly string[] => [
  heart,
  keys,
  settings,
  policy,
  parentKey,
];

export function environmentFor(policy: Policy, env: CommandIo["env"]): Record<string, string> {
  return Object.fromEntries(
    policy.environment.flatMap((name) => {
      const value = env[name];
      // A value is data to us and may be a path or a program to a library; plain ones are enough for a language and a time zone.
      return value !== undefined && /^[A-Za-z0-9_./@:+-]{0,100}$/.test(value) ? [[name, value]] : [];
    }),
  );
}
