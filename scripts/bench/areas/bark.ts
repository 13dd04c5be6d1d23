import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import compiled from "../../../profiles/bark/policy.json";
import { auditLog } from "../../../src/audit/log.ts";
import type { PreparedCall } from "../../../src/bark/call.ts";
import { commandPlan } from "../../../src/bark/cage/plan.ts";
import type { BarkTier } from "../../../src/bark/types.ts";
import { executor } from "../../../src/bark/execute.ts";
import { type AuditTrail, ReferenceMonitor } from "../../../src/bark/monitor/monitor.ts";
import { permitDesk } from "../../../src/bark/monitor/permit.ts";
import { auditTrail } from "../../../src/bark/monitor/trail.ts";
import { judgeCommand } from "../../../src/bark/policy/judge.ts";
import { loadPolicy } from "../../../src/bark/policy/load.ts";
import { openHeart } from "../../../src/heart/open.ts";
import type { Millis } from "../../../src/lib/brand.ts";
import { ok } from "../../../src/lib/result.ts";
import { auditCrypto } from "../../../src/platform/audit-crypto.ts";
import { findBwrap } from "../../../src/platform/cage/host.ts";
import { hostCage } from "../../../src/platform/cage/runner.ts";
import { heartDeps } from "../../../src/platform/heart.ts";
import { workspaceSteps } from "../../../src/platform/workspace/apply.ts";
import { workspaceWriter } from "../../../src/platform/workspace/writer.ts";
import { buildHelper } from "../../build/helper.ts";
import { inTurn, pairedRatio, summarise } from "../stats.ts";
import { type Row, skipped } from "../table.ts";
import { barkProxy } from "./bark-proxy.ts";

const ROUNDS = 40;
/** Milliseconds before each call and each baseline alike: people and models leave more between two calls, and a cage for the next one is being made meanwhile. */
const PAUSE = 30;
const { sha256 } = auditCrypto;
const LABEL = { c: 0, k: [], i: 3, p: [] } as const;

/** A call through monitor, plan, bubblewrap, filters, helper and limits, beside a bare `bwrap … true` in the same run; the log's commits apart. */
export async function bark(): Promise<readonly Row[]> {
  const built = buildHelper();
  const bwrap = findBwrap();
  if (typeof built === "string" || bwrap === null)
    return [skipped("bark", typeof built === "string" ? built : "bubblewrap is not installed")];
  const loaded = loadPolicy(compiled, sha256);
  if (!loaded.ok) throw new Error(loaded.error.join(" "));
  const { policy } = loaded.value;
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "noctem-bench-")));
  try {
    const { clock, random } = heartDeps();
    const permits = permitDesk(sha256);
    using cage = hostCage({ permits, clock, sha256, env: process.env });
    using whole = hostCage({ permits, clock, sha256, env: process.env, standby: false });
    if (cage.host().level !== "namespaces") return [skipped("bark", cage.host().detail)];
    const opened = openHeart(heartDeps(), { file: join(folder, "heart.sqlite"), keysDir: join(folder, "keys") }, 0 as Millis);
    if (!opened.ok) throw new Error(opened.error.kind);
    using heart = opened.value;
    const key = auditCrypto.ephemeral();
    const log = auditLog({ heart: heart.audit, heartId: heart.id, crypto: auditCrypto, random, stick: () => ok(key) });
    const durable = auditTrail(
      log,
      () => undefined,
      () => "",
      sha256,
    );
    const steps = workspaceSteps(
      join(folder, "steps"),
      () => clock.now(),
      () => random.bytes(8).toHex(),
    );
    const monitorWith = (audit: AuditTrail, of = cage): ReferenceMonitor =>
      new ReferenceMonitor({
        clearanceOf: () => ({ c: 2, k: ["files"] }),
        tierOf: () => 0,
        policy: loaded.value.hash,
        audit,
        approvals: null,
        permits,
        clock,
        executor: executor({
          permits,
          cage: of,
          clock,
          sha256,
          workspace: folder,
          writer: workspaceWriter({ steps, bounds: policy.changes, pending: null }),
        }),
      });
    const silent: AuditTrail = {
      intent: () => ok({ session: "", seq: 0 }),
      outcome: () => ok(undefined),
      approval: () => ok(undefined),
      incident: () => undefined,
    };
    const unlogged = monitorWith(silent);
    const logged = monitorWith(durable);
    const limits = policy.skills["shell"]?.limits;
    if (limits === undefined) throw new Error("no limits for shell");
    const prepared = (workspace: string, tier: BarkTier, command: string, writes: boolean): PreparedCall => ({
      tier,
      operation: "run",
      changesState: writes,
      object: { kind: "command", name: command, label: { c: 1, k: ["files"], i: 0, p: [] }, reserved: false },
      declassifiable: false,
      sink: null,
      arguments: [{ name: "command", role: "control", value: command, required: 0 }],
      ruled: writes ? null : judgeCommand(policy, command),
      effect: {
        kind: "process",
        plan: commandPlan({
          profile: "bench",
          tier,
          argv: ["/bin/sh", "-c", command],
          workspace,
          writes,
          network: { kind: "none" },
          limits,
          env: {},
        }),
        stdin: null,
        read: ok,
      },
      resultLabel: LABEL,
    });
    const call =
      (monitor: ReferenceMonitor, of: PreparedCall, pause = PAUSE) =>
      async (): Promise<number> => {
        await Bun.sleep(pause);
        const started = performance.now();
        const report = await monitor.call({
          skill: "shell",
          args: {},
          prepared: of,
          context: LABEL,
          said: [],
          plan: null,
          remark: null,
          signal: new AbortController().signal,
        });
        if (report.executed?.cage?.code !== 0) throw new Error(report.text);
        return performance.now() - started;
      };
    const spawn = (argv: readonly string[]) => async (): Promise<number> => {
      await Bun.sleep(PAUSE);
      const started = performance.now();
      const child = Bun.spawn([...argv], { stdio: ["ignore", "pipe", "pipe"], env: {} });
      await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      if (child.exitCode !== 0) throw new Error("bwrap failed");
      return performance.now() - started;
    };
    const bare = [bwrap, "--ro-bind", "/", "/", "/bin/sh", "-c", "true"];
    const unshared = [bwrap, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "/bin/sh", "-c", "true"];
    const small = join(folder, "small");
    mkdirSync(small);
    const rows: Row[] = [];
    const against = async (
      what: string,
      work: () => Promise<number>,
      baseline: readonly string[],
      target: number | null,
    ): Promise<void> => {
      const { a, b } = await inTurn(ROUNDS, work, spawn(baseline));
      rows.push(
        { what, unit: "ms", value: summarise(a) },
        {
          what: "  over it",
          unit: "×",
          value: pairedRatio(a, b),
          ...(target === null ? {} : { target: { at: "most" as const, value: target } }),
        },
      );
    };
    rows.push({ what: "bare bwrap, sh -c true", unit: "ms", value: summarise((await inTurn(ROUNDS, spawn(bare), spawn(unshared))).a) });
    await against("bwrap with namespaces, /proc and /dev, over bare", spawn(unshared), bare, null);
    await against("tier 1, over bare", call(unlogged, prepared(small, 1, "true", false)), bare, 1.5);
    await against("tier 2, over bare", call(unlogged, prepared(small, 2, "true", false)), bare, 1.5);
    await against("tier 2, over bwrap with namespaces", call(unlogged, prepared(small, 2, "true", false)), unshared, null);
    const atOnce = call(unlogged, prepared(small, 2, "true", false), 0);
    await against(
      "  right after another one, nothing being ready, over bare",
      async () => {
        await call(unlogged, prepared(small, 2, "true", false))();
        return await atOnce();
      },
      bare,
      null,
    );
    await against(
      "  where no cage can stand ready, over bare",
      call(monitorWith(silent, whole), prepared(small, 2, "true", false)),
      bare,
      null,
    );
    await against("tier 2 with a view to write, over bare", call(unlogged, prepared(small, 2, "true", true)), bare, null);
    await against("tier 2 with the log's two commits, over bare", call(logged, prepared(small, 2, "true", false)), bare, null);
    rows.push(decision(unlogged, prepared(small, 2, "cat a b | sort -n | head -5", false)));
    rows.push(...(await large(folder, (workspace, command) => call(unlogged, prepared(workspace, 2, command, true)))));
    rows.push(await parallel(atOnce));
    rows.push(...(await barkProxy()));
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The policy's judgement of the line is part of it. */
function decision(monitor: ReferenceMonitor, of: PreparedCall): Row {
  const times: number[] = [];
  for (let round = 0; round < 2000; round++) {
    const started = performance.now();
    monitor.judge({ skill: "shell", args: {}, prepared: of, context: LABEL, said: [], plan: null });
    times.push((performance.now() - started) * 1000);
  }
  return { what: "a decision of the monitor", unit: "µs", value: summarise(times.slice(100)), target: { at: "most", value: 50 } };
}

/** Ten changes in a workspace of ten thousand files, over one in an empty workspace. */
async function large(folder: string, callIn: (workspace: string, command: string) => () => Promise<number>): Promise<readonly Row[]> {
  const [many, none] = [join(folder, "many"), join(folder, "none")];
  mkdirSync(none);
  for (let i = 0; i < 10_000; i++) {
    if (i % 100 === 0) mkdirSync(join(many, `d${i / 100}`), { recursive: true });
    writeFileSync(join(many, `d${Math.trunc(i / 100)}`, `f${i}`), `${i}`);
  }
  let round = 0;
  const ten = async (): Promise<number> => {
    round++;
    return await callIn(many, `for i in 1 2 3 4 5 6 7 8 9 10; do echo ${round} > d$i/f$i; done`)();
  };
  const { a, b } = await inTurn(20, ten, callIn(none, "for i in 1 2 3 4 5 6 7 8 9 10; do :; done"));
  const extra = a.map((value, index) => value - (b[index] ?? 0));
  return [
    {
      what: "10 changes in 10,000 files, found and written: beyond an empty workspace",
      unit: "ms",
      value: summarise(extra),
      target: { at: "most", value: 50 },
      note: "each file is synced once, many at a time; a busy disk is most of it",
    },
  ];
}

async function parallel(one: () => Promise<number>): Promise<Row> {
  const started = performance.now();
  await Promise.all(Array.from({ length: 100 }, one));
  return { what: "100 calls at once, all of them", unit: "ms", value: summarise([performance.now() - started]) };
}
