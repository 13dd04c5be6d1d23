/**
 * Runs a plan in a cage: the only code that starts a skill's process. A permit is spent on the exact plan and input before anything of it
 * is looked at.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { runGroup } from "./cgroup.ts";
import { bwrapOptions, type CageProxy, innerCommand, innerWords, type Word } from "../../bark/cage/argv.ts";
import { standbyOptions } from "../../bark/cage/standing.ts";
import { reaches } from "../../bark/cage/floors.ts";
import { describeRun } from "../../bark/cage/describe.ts";
import { proxyVariables } from "../../bark/proxy/types.ts";
import type { Cage, CageError, CageInput, CageOutcome, CagePlan, Limits, Mount, Stopped } from "../../bark/cage/types.ts";
import type { PermitDesk } from "../../bark/monitor/permit.ts";
import type { Clock } from "../../lib/ports.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { probeHost, type CageHost } from "./host.ts";
import { unpackParts, type UnpackedParts } from "./parts.ts";
import { collect } from "./output.ts";
import { supervise } from "./supervisor.ts";
import { type HostNetwork, hostNetwork } from "../proxy/dial.ts";
import { beneath } from "../workspace/beneath.ts";
import { beforeOf } from "../workspace/view.ts";
import { openProxy } from "../proxy/server.ts";
import { openBus } from "./bus.ts";
import { guardDevices } from "./devices.ts";
import { argumentsFile } from "./arguments.ts";
import { identityOf, isPlain, isResolved } from "./paths.ts";
import { fits, kill as killGroup, type Standby, standbyFilters, standbyFolder, type StandbyDesk, standbyDesk } from "./standby.ts";
import { followView, mergedAt, overlayCommand } from "./view.ts";

export interface CageDeps {
  readonly permits: PermitDesk;
  readonly clock: Clock;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Another host than this one; for tests. */
  readonly host?: CageHost;
  /** Another network than this computer's; for the stage of attacks. */
  readonly network?: HostNetwork;
  /** Another filter of D-Bus than the system's, or none; for tests. */
  readonly busProxy?: string | null;
  /** False: each cage is made whole for its run, as where none can stand ready; for tests. */
  readonly standby?: boolean;
}

export interface HostCage extends Cage, Disposable {
  /** What is reached here. Probed once. */
  host(): CageHost;
}

/** Bytes of standard input at most. */
const MOST_INPUT = 16 << 20;

export function hostCage(deps: CageDeps): HostCage {
  let unpacked: Result<UnpackedParts, string> | null = null;
  let found: CageHost | null = deps.host ?? null;
  let desk: StandbyDesk | null = null;
  const ending = new Set<Disposable>();
  const parts = () => (unpacked ??= unpackParts(deps.env));
  const host = (): CageHost => {
    if (found !== null) return found;
    const made = parts();
    const probed = probeHost(made.ok ? made.value.landlockAbi : 0);
    found = made.ok ? probed : { ...probed, level: "none", detail: made.error, fix: "Use a build that has one." };
    return found;
  };
  return {
    host,
    async run(permit, plan, input) {
      const fault = deps.permits.spend(permit, describeRun(plan, input.stdin, deps.sha256), deps.clock.now());
      if (fault !== null) return err({ kind: "no-permit", fault });
      const { level, detail, fix, bwrap } = host();
      if (!reaches(level, plan.floor)) return err({ kind: "no-cage", level, floor: plan.floor, detail, fix });
      const made = parts();
      if (!made.ok) return err({ kind: "failed", detail: made.error });
      const refusal = refuse(plan, input);
      if (refusal !== null) return err({ kind: "refused", detail: refusal });
      if (bwrap !== null && deps.standby !== false) desk ??= standbyDesk(made.value, bwrap, () => deps.clock.monotonic());
      return await launch(plan, input, { parts: made.value, host: host(), desk, ending }, deps);
    },
    [Symbol.dispose]() {
      desk?.[Symbol.dispose]();
      for (const left of ending) left[Symbol.dispose]();
      ending.clear();
      if (unpacked?.ok) unpacked.value[Symbol.dispose]();
      unpacked = null;
    },
  };
}

/**
 * What must be true of paths on the host at the last moment. A mount follows links in its source, and older bubblewrap follows them in its
 * destination too and makes folders where they lead (CVE-2026-87766); so neither may have one, whatever the version says.
 */
function refuse(plan: CagePlan, { stdin }: CageInput): string | null {
  if ([...plan.argv, ...Object.entries(plan.env).flat()].some((word) => word.includes("\0")))
    return "A NUL character stands in the command or its environment.";
  if (!(plan.argv[0] ?? "").startsWith("/")) return "A program in a cage is named by its whole path.";
  if (stdin !== null && stdin.length > MOST_INPUT) return `Its input has more than ${MOST_INPUT} bytes.`;
  // Those of the workspace are looked at name by name in a moment, and once more after the mount (identityOf).
  const sources = plan.mounts.flatMap((mount) => ("from" in mount ? [mount.from] : []));
  const linked = sources.find((path) => !isResolved(path));
  if (linked !== undefined) return `${linked} is a link, lies behind one, or is gone.`;
  const masked = plan.mounts.find(
    (mount) => mount.kind === "mask" && !isResolved(mount.raw === undefined ? mount.to : Uint8Array.fromHex(mount.raw)),
  );
  if (masked !== undefined) return `${masked.to} is a link, lies behind one, or is gone.`;
  const changed = plan.inputs?.find(({ path, sha256 }) => !isStill(plan.workspace?.host ?? "", path, sha256));
  if (changed !== undefined) return `${changed.path} is not what it was when this was asked about. Ask again.`;
  const odd = [...plan.mounts.map(({ to }) => to), plan.workspace?.inside ?? "/tmp", plan.cwd].find((path) => !isPlain(path));
  return odd === undefined ? null : `${odd} is no plain absolute path.`;
}

function isStill(workspace: string, path: string, sha256: string): boolean {
  const found = beneath(workspace, path, (folder, name) => beforeOf(folder, name));
  return found?.kind === "file" && found.sha256 === sha256;
}

/** What runs of one cage have in common. */
interface Yard {
  readonly parts: UnpackedParts;
  readonly host: CageHost;
  readonly desk: StandbyDesk | null;
  /** What is taken away once the last of a run is gone. */
  readonly ending: Set<Disposable>;
}

/** One run, and what stands around it on the host. */
interface Run {
  readonly plan: CagePlan;
  readonly input: CageInput;
  readonly name: number;
  readonly writes: boolean;
  /** Of the workspace and of its repository: what has to be found inside, as PATH:DEV:INO. */
  readonly identities: readonly string[];
  readonly proxied: CageProxy | null;
  readonly bus: string | null;
  /** In which what goes with the run is put. */
  readonly stack: DisposableStack;
}

/** How a program ended. */
type Ended = Omit<CageOutcome, "level" | "wallMs" | "network">;

async function launch(plan: CagePlan, input: CageInput, yard: Yard, deps: CageDeps): Promise<Result<CageOutcome, CageError>> {
  const { clock, env, busProxy, network: reached = hostNetwork } = deps;
  const { workspace, network, dbus = [] } = plan;
  const { parts, host } = yard;
  using stack = new DisposableStack();
  const started = clock.monotonic();
  try {
    const folders = workspace === null ? [] : [workspace.host, ...(workspace.git === undefined ? [] : [workspace.git.host])];
    const identities = folders.flatMap((path) => identityOf(path) ?? []);
    if (identities.length < folders.length)
      return err({ kind: "refused", detail: `${folders.join(" or ")} is a link, lies behind one, or is gone.` });
    const name = ++runs;
    // Of this run alone, and gone with it: socket and token are in no plan.
    const proxy = network.kind === "none" ? null : openProxy(join(parts.folder, `proxy-${name}`), network.reach, reached);
    if (proxy !== null) stack.defer(() => void proxy.close());
    const proxied =
      proxy === null || network.kind === "none" ? null : { socket: proxy.socket, env: proxyVariables(network.port, proxy.token) };
    const bus = dbus.length === 0 ? null : await openBus(join(parts.folder, `bus-${name}`), dbus, env, busProxy);
    if (bus?.ok === false) return err({ kind: "no-cage", level: host.level, floor: plan.floor, ...bus.error });
    if (bus !== null) stack.use(bus.value);
    const writes = workspace?.mode === "copy-on-write";
    const run: Run = { plan, input, name, writes, identities, proxied, bus: bus?.value.socket ?? null, stack };
    const ended = (await runInStanding(run, yard)) ?? (await runAnew(run, yard));
    if ("failure" in ended) return err(ended.failure);
    const broken = cageFault(ended.code, ended.stdout, ended.stderr);
    if (broken !== null && ended.stopped === null) return err({ kind: "failed", detail: broken });
    return ok({
      level: host.level,
      ...ended,
      code: ended.stopped === null ? ended.code : null,
      wallMs: Math.round(clock.monotonic() - started),
      network: proxy?.close() ?? null,
    });
  } catch (error) {
    return err({ kind: "failed", detail: error instanceof Error ? error.message : String(error) });
  }
}

/** In a cage that stands ready. Null where there is none for this run, or it broke before there was a program: then nothing of the run has happened yet. */
async function runInStanding(run: Run, { parts, desk, ending }: Yard): Promise<Ended | null> {
  const { plan, input, writes, identities, proxied, bus } = run;
  // What writes has its view mounted around the cage; and what waits has no input yet.
  if (desk === null || writes || input.stdin !== null) return null;
  const whole = withWorkspace(plan, null);
  const words = innerWords(whole, identities);
  const standby = fits(words) ? desk.take(plan.limits) : null;
  if (standby === null) return null;
  const { stopped, stop, watch } = watchOver(standby.child, run);
  let served = false;
  let isOld = false;
  try {
    const seccomp = standbyFilters(plan);
    const stands = { root: standbyFolder(parts), diskBytes: standby.diskBytes };
    const options = standbyOptions(whole, parts, stands, { seccomp }, proxied, bus);
    isOld = !fits(options) || !begin(standby, options, words, plan.limits);
    if (isOld) return null;
    const streams = gather([standby.stdout, standby.stderr], run, stop);
    const ended = await standby.ended();
    served = ended !== null || stopped() !== null;
    if (!served) return null;
    const [stdout, stderr] = await streams;
    return { code: ended?.code ?? null, signal: null, stopped: stopped(), view: null, stdout, stderr };
  } finally {
    watch[Symbol.dispose]();
    if (!isOld) desk.report(served);
    if (!served || stopped() !== null) killGroup(standby.child);
    // The kernel takes apart what nothing runs in any more; nobody waits for that.
    ending.add(standby);
    void standby.child.exited.then(() => {
      if (!ending.delete(standby)) return;
      standby[Symbol.dispose]();
      desk.prepare(plan.limits);
    });
  }
}

/** Tells bubblewrap and the helper what for; false where it is not for this run. One that does not hear is ended, and its end says so. */
function begin(standby: Standby, options: readonly Word[], words: readonly string[], limits: Limits): boolean {
  try {
    standby.build(options);
    // Meanwhile bubblewrap builds.
    return standby.begin(words, limits);
  } catch {
    // Half of it may have been heard, and the rest be waited for.
    killGroup(standby.child);
    return true;
  }
}

async function runAnew(run: Run, { parts, host, desk }: Yard): Promise<Ended | { readonly failure: CageError }> {
  const { plan, input, name, writes, identities, proxied, bus, stack } = run;
  const { workspace, limits } = plan;
  const opened: number[] = [];
  try {
    const filters = plan.seccomp === "deny+allow" ? [parts.filters.deny, parts.filters.allow] : [parts.filters.deny];
    // Descriptors from 3 on: the arguments, the filters, small files. Numbers are those that the child sees.
    const whole = withWorkspace(plan, writes ? join(parts.folder, "view") : null);
    const files = parts.files(4 + filters.length);
    opened.push(...filters.map((path) => openSync(path, "r")), ...files.map((file) => file.opened));
    const seccomp = filters.map((_, index) => 4 + index);
    const words = bwrapOptions(whole, parts, { seccomp, files }, proxied, bus);
    const file = argumentsFile(join(parts.folder, `args-${name}`), words);
    const since = fstatSync(file).ctimeMs;
    opened.unshift(file);
    const bwrap = [host.bwrap ?? "bwrap", "--args", "3", "--", ...innerCommand(whole, writes ? [] : identities)];
    const control = 3 + opened.length;
    const group = process.geteuid?.() === 0 ? runGroup(`noctem-${process.pid}-${name}`, limits) : null;
    if (group !== null) stack.use(group);
    const viewed = writes ? [...overlayCommand(identities, parts, limits.diskBytes, control), ...bwrap] : bwrap;
    const child = Bun.spawn([...guardDevices(viewed, { plan, parts, ...(group === null ? {} : { groups: group.folders }) })], {
      stdio: [input.stdin === null ? "ignore" : Buffer.from(input.stdin), "pipe", "pipe", ...opened, ...(writes ? ["pipe" as const] : [])],
      // Bubblewrap's own first process would show what stands here.
      env: {},
      cwd: "/",
      detached: true,
    });
    for (const fd of opened.splice(0)) closeSync(fd);
    // While the cage is being built.
    group?.sweep();
    const { stopped, stop, watch } = watchOver(child, run);
    try {
      const streams = gather([child.stdout, child.stderr], run, stop);
      const view =
        writes && workspace !== null
          ? await followView(child, input, {
              scratch: join(parts.folder, "view"),
              workspace,
              identities,
              diskBytes: limits.diskBytes,
              since,
              kill: () => killGroup(child),
              isStopped: () => stopped() !== null,
            })
          : null;
      if (view !== null && "failure" in view) return view;
      await child.exited;
      const end = view ?? { code: child.exitCode, signal: child.signalCode === null ? null : String(child.signalCode) };
      const [stdout, stderr] = await streams;
      return { code: end.code, signal: end.signal, stopped: stopped(), view: view?.kind ?? null, stdout, stderr };
    } finally {
      watch[Symbol.dispose]();
      killGroup(child);
      desk?.prepare(limits);
    }
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/** Ends it when it goes beyond its limits or is cancelled. */
function watchOver(child: Pick<Bun.Subprocess, "pid">, { plan, input }: Run) {
  let stopped: Stopped | null = null;
  const stop = (why: Stopped): void => {
    stopped ??= why;
    killGroup(child);
  };
  return { stopped: (): Stopped | null => stopped, stop, watch: supervise(child.pid, plan.limits, input.signal, stop) };
}

/** Both streams to their ends, within one budget. */
async function gather(
  streams: readonly [stdout: ReadableStream<Uint8Array>, stderr: ReadableStream<Uint8Array>],
  { plan, input }: Run,
  stop: (why: Stopped) => void,
): Promise<readonly [stdout: Uint8Array, stderr: Uint8Array]> {
  const budget = { left: plan.limits.outputBytes };
  const [stdout, stderr] = streams.map(async (stream, index) =>
    collect(
      stream,
      budget,
      () => stop("output"),
      (bytes) => input.onOutput?.(index === 0 ? "stdout" : "stderr", bytes),
    ),
  );
  return [(await stdout) ?? new Uint8Array(), (await stderr) ?? new Uint8Array()];
}

/** Names runs of this process apart. */
let runs = 0;

/** The workspace comes after the other mounts, so that nothing of the plan covers a part of it unseen, and what is masked in it after that. */
function withWorkspace(plan: CagePlan, view: string | null): CagePlan {
  const { workspace } = plan;
  if (workspace === null) return plan;
  const { host, inside, git } = workspace;
  const kind = workspace.mode === "copy-on-write" ? "read-write" : "read-only";
  const mounts: Mount[] = [
    { kind, from: view === null ? host : mergedAt(view, 0), to: inside },
    ...(git === undefined ? [] : [{ kind, from: view === null ? git.host : mergedAt(view, 1), to: git.host } as const]),
  ];
  const isMask = (at: Mount): boolean => at.kind === "mask";
  return { ...plan, mounts: [...plan.mounts.filter((at) => !isMask(at)), ...mounts, ...plan.mounts.filter(isMask)] };
}

/** What bubblewrap and the helper say before there is a program; the words are theirs. */
function cageFault(code: number | null, stdout: Uint8Array, stderr: Uint8Array): string | null {
  if ((code !== 1 && code !== 125) || stdout.length > 0) return null;
  const [line = ""] = new TextDecoder().decode(stderr).split("\n", 1);
  return /^(?:bwrap|noctem-helper): /.test(line) ? `The cage could not be built: ${line}` : null;
}
