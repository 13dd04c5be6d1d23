/** All that the monitor promises, in a second's time: for copies of it that may have a bug. */
import type { PreparedCall } from "../../src/bark/call.ts";
import type { Executor } from "../../src/bark/execute.ts";
import type { decide } from "../../src/bark/monitor/decide.ts";
import type { endorse, literalsOf } from "../../src/bark/monitor/endorse.ts";
import type { Answer, CallReport, ReferenceMonitor } from "../../src/bark/monitor/monitor.ts";
import type { PermitDesk } from "../../src/bark/monitor/permit.ts";
import type { Argument } from "../../src/bark/types.ts";
import type { Millis } from "../../src/lib/brand.ts";
import type { join, Label } from "../../src/lib/label.ts";
import { err, ok } from "../../src/lib/result.ts";
import { examine, label, LEVELS, PRODUCTS, sizeOf } from "./monitor-product.ts";

export interface MonitorModules {
  readonly decide: typeof decide;
  readonly join: typeof join;
  readonly endorse: typeof endorse;
  readonly literalsOf: typeof literalsOf;
  readonly ReferenceMonitor: typeof ReferenceMonitor;
}

/** The first promise that is not kept. */
export async function faultOfMonitor(modules: MonitorModules, permits: PermitDesk, now: Millis): Promise<string | null> {
  for (const axes of Object.values(PRODUCTS)) {
    const { fault } = examine(modules.decide, axes, sizeOf(axes) > 100_000 ? 199 : 7);
    if (fault !== null) return fault;
  }
  return faultOfJoin(modules) ?? faultOfEndorsement(modules) ?? (await faultOfPath(modules, permits, now));
}

function faultOfJoin({ join: joined }: MonitorModules): string | null {
  const all = LEVELS.flatMap((c) => LEVELS.flatMap((i) => [[], ["heart"], ["web"], ["heart", "web"]].map((k) => label(c, i, k))));
  for (const a of all)
    for (const b of all) {
      const { c, i, k } = joined(a, b);
      const union = ["heart", "web"].filter((name) => a.k.includes(name) || b.k.includes(name));
      if (c !== Math.max(a.c, b.c) || i !== Math.min(a.i, b.i) || k.join() !== union.join()) return `join of ${JSON.stringify([a, b])}`;
    }
  return null;
}

const TAINTED: Label = { c: 2, k: ["web"], i: 0, p: ["a page"] };
const SAID = 'send 13 of Notes/plan.md and "my file" to example.org';
/** Role, type that the argument takes, value, whether it is the person's own. */
const LITERALS: readonly (readonly [Argument["role"], "path" | "quoted" | "number" | "word" | "host", string | number, boolean])[] = [
  ["control", "path", "Notes/plan.md", true],
  ["control", "path", "notes/plan.md", false],
  ["control", "path", "Notes", false],
  ["control", "path", "plan.md", false],
  ["control", "word", "Notes/plan.md", false],
  ["control", "quoted", "my file", true],
  ["control", "quoted", "my", false],
  ["control", "number", 13, true],
  ["control", "number", 13.0, true],
  ["control", "number", 1, false],
  ["control", "number", "0x0d", false],
  ["control", "word", "send", true],
  ["control", "host", "EXAMPLE.org", true],
  ["content", "path", "Notes/plan.md", false],
];

function faultOfEndorsement({ endorse: lift, literalsOf: read }: MonitorModules): string | null {
  const literals = [...read(SAID), { type: "number", value: "7.0" } as const];
  for (const [role, type, value, own] of [...LITERALS, ["control", "number", 7, true] as const]) {
    const argument: Argument = { name: "path", role, value, label: TAINTED, required: 2 };
    const { label: lifted } = lift(argument, [type], literals);
    const expected = own ? { ...TAINTED, i: 3 } : TAINTED;
    if (JSON.stringify(lifted) !== JSON.stringify(expected)) return `${role} ${type} ${value} became ${JSON.stringify(lifted)}`;
  }
  return null;
}

/** One call through the whole path, with everything around it played. */
interface Played {
  readonly name: string;
  readonly tier: 0 | 1 | 3 | 4;
  readonly context?: Label;
  readonly argument?: string;
  readonly said?: string;
  readonly answer?: Answer | "nobody";
  readonly broken?: "intent" | "approval" | "changes";
  /** What has to come of it. */
  readonly status: CallReport["status"];
  readonly incidents?: number;
  /** Where the result leads: a call of this tier over this argument, the same again and again, or nothing that can be asked for. */
  readonly leads?: { readonly tier: Played["tier"]; readonly argument: string } | "round" | "nowhere";
  /** Things done; 1 where it is done and 0 elsewhere, unless it leads on. */
  readonly effects?: number;
}

const CALLS: readonly Played[] = [
  { name: "allowed", tier: 1, status: "done" },
  { name: "prohibited", tier: 4, status: "denied", incidents: 1 },
  { name: "asked, nobody there", tier: 3, answer: "nobody", status: "unanswered" },
  { name: "asked, no answer", tier: 3, answer: "unanswered", status: "unanswered" },
  { name: "asked, no", tier: 3, answer: "denied", status: "denied" },
  { name: "asked, yes", tier: 3, answer: "allowed", status: "done" },
  { name: "a deny has no answer", tier: 4, answer: "allowed", status: "denied", incidents: 1 },
  { name: "no intent in the log", tier: 1, broken: "intent", status: "denied" },
  { name: "no answer in the log", tier: 3, answer: "allowed", broken: "approval", status: "denied" },
  { name: "changed while it was judged", tier: 3, answer: "allowed", broken: "changes", status: "denied" },
  {
    name: "steered by a page",
    tier: 1,
    context: { ...TAINTED, c: 0 },
    argument: "evil.txt",
    said: "read notes.txt",
    answer: "nobody",
    status: "unanswered",
  },
  {
    name: "repeated by a page",
    tier: 1,
    context: { ...TAINTED, c: 0 },
    argument: "notes.txt",
    said: "read notes.txt",
    answer: "nobody",
    status: "done",
  },
  { name: "led on to what is allowed", tier: 1, said: "notes.txt", leads: { tier: 1, argument: "notes.txt" }, status: "done", effects: 2 },
  { name: "led on by a page", tier: 1, leads: { tier: 1, argument: "evil.txt" }, status: "unanswered", effects: 1 },
  { name: "led on to what is asked about", tier: 1, leads: { tier: 3, argument: "x" }, answer: "denied", status: "denied", effects: 1 },
  { name: "led on to what nobody may", tier: 1, leads: { tier: 4, argument: "x" }, status: "denied", effects: 1, incidents: 1 },
  { name: "led on from what was denied", tier: 4, leads: { tier: 1, argument: "x" }, status: "denied", incidents: 1 },
  { name: "led round and round", tier: 1, leads: "round", said: "notes.txt", status: "failed", effects: 6 },
  { name: "led nowhere", tier: 1, leads: "nowhere", status: "denied", effects: 1 },
];

async function faultOfPath(modules: MonitorModules, permits: PermitDesk, now: Millis): Promise<string | null> {
  for (const played of CALLS) {
    const { context = label(0, 3), status, incidents = 0 } = played;
    const ran = await play(modules, permits, now, played);
    if (ran.report.status !== status) return `${played.name}: ${ran.report.status} instead of ${status}`;
    if (ran.effects !== (played.effects ?? (status === "done" ? 1 : 0))) return `${played.name}: ${ran.effects} effects`;
    if (ran.incidents !== incidents) return `${played.name}: ${ran.incidents} incidents`;
    if (ran.report.label.i > context.i || ran.report.label.c < context.c) return `${played.name}: a result cleaner than its context`;
  }
  return null;
}

async function play(
  modules: MonitorModules,
  permits: PermitDesk,
  now: Millis,
  played: Played,
): Promise<{ report: CallReport; effects: number; incidents: number }> {
  const { context = label(0, 3), said = "", answer = "nobody", broken, leads } = played;
  let [effects, incidents, described] = [0, 0, 0];
  const prepare = (tier: Played["tier"], argument: string, next: Played["leads"]): PreparedCall => ({
    tier,
    operation: "read",
    changesState: false,
    object: { kind: "file", name: argument, label: label(0, 0), reserved: false },
    declassifiable: false,
    sink: null,
    arguments: [{ name: "path", role: "control", value: argument, required: 2 }],
    ruled: null,
    effect: { kind: "answer", of: { skill: "played", asked: argument }, read: () => Promise.resolve(ok("")) },
    // What leads on was read somewhere; everything else is nobody's word.
    resultLabel: leads === undefined ? label(0, 4) : { ...TAINTED, c: 0 },
    ...(next === undefined
      ? {}
      : {
          follow: () => {
            if (next === "nowhere") return err({ kind: "bad-arguments", detail: "" });
            if (next === "round") return ok({ args: {}, prepared: prepare(tier, argument, next) });
            return ok({ args: {}, prepared: prepare(next.tier, next.argument, undefined) });
          },
        }),
  });
  const executor: Executor = {
    describe: () => ({ version: broken === "changes" ? described++ : 0 }),
    execute: (permit) => {
      if (permits.spend(permit, { version: 0 }, now) === null) effects++;
      return Promise.resolve({ status: "done", text: "", blocked: [], incidents: [], cage: null, level: null, workspace: null });
    },
    rehearsed: (effect) => effect,
    rehearse: () => Promise.resolve({ status: "failed", cage: null, lines: [] }),
  };
  const failing = err({ detail: "the log is full" });
  const monitor = new modules.ReferenceMonitor({
    clearanceOf: () => ({ c: 4, k: [] }),
    tierOf: () => 0,
    policy: "",
    audit: {
      intent: () => (broken === "intent" ? failing : ok({ session: "s", seq: 1 })),
      outcome: () => ok(undefined),
      approval: () => (broken === "approval" ? failing : ok(undefined)),
      incident: () => void incidents++,
    },
    approvals: answer === "nobody" ? null : { who: "console", ask: () => Promise.resolve(answer) },
    permits,
    executor,
    clock: { now: () => now, monotonic: () => 0 },
  });
  const { signal } = new AbortController();
  const prepared = prepare(played.tier, played.argument ?? "notes.txt", leads);
  const request = { skill: "file_ops", args: {}, prepared, context, said: modules.literalsOf(said), plan: null, remark: null, signal };
  return { report: await monitor.call(request), effects, incidents };
}
