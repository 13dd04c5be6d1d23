/** What judges calls can be tested, and the tests can fail: each of these bugs, planted alone in a copy of the source, is seen. */
import { afterAll, describe, expect, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import { PermitDesk } from "../../../src/bark/monitor/permit.ts";
import type { Millis } from "../../../src/lib/brand.ts";
import { faultOfMonitor, type MonitorModules } from "../../support/monitor-check.ts";
import { ROOT, tempDir } from "../../support/noctem.ts";

interface Bug {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

const DECIDE = "src/bark/monitor/decide.ts";
const ENDORSE = "src/bark/monitor/endorse.ts";
const MONITOR = "src/bark/monitor/monitor.ts";
const LABEL = "src/lib/label.ts";
const bug = (file: string, name: string, find: string, put: string): Bug => ({ name, file, find, put });
const dropped = (id: string): Bug =>
  bug(DECIDE, `no rule ${id}`, `id: "${id}",\n    judge:`, `id: "${id}",\n    judge: () => null, unused:`);

/** Not among them, because two other rules say the same: that a call of tier 4 does not fall to 3, and that a trifecta is no batch's. */
const BUGS: readonly Bug[] = [
  ...[
    "policy",
    "prohibited",
    "reserved",
    "clearance",
    "write-down",
    "control-argument",
    "egress",
    "sealed",
    "trifecta",
    "plan",
    "approval",
  ].map(dropped),
  bug(DECIDE, "the mildest speaker wins", "STRICTNESS[b.outcome] - STRICTNESS[a.outcome]", "STRICTNESS[a.outcome] - STRICTNESS[b.outcome]"),
  bug(DECIDE, "the first speaker wins", "[...spoke].sort((a, b) => STRICTNESS[b.outcome] - STRICTNESS[a.outcome])", "[...spoke]"),
  bug(DECIDE, "to ask is stricter than to deny", "{ allow: 0, ask: 1, deny: 2 }", "{ allow: 0, ask: 2, deny: 1 }"),
  bug(DECIDE, "personal data are no private data", "context.c >= Confidentiality.PERSONAL", "context.c > Confidentiality.PERSONAL"),
  bug(DECIDE, "what stays is no effect", "(sink?.external === true || changesState)", "sink?.external === true"),
  bug(DECIDE, "what leaves is no effect", "(sink?.external === true || changesState)", "changesState"),
  bug(DECIDE, "a skill's result steers like text from outside", "context.i === Integrity.UNTRUSTED", "context.i <= Integrity.SIGNED_SKILL"),
  bug(
    DECIDE,
    "the tier stays where it was",
    "isTrifecta(request) && request.tier < 3 ? 3",
    "isTrifecta(request) && request.tier < 3 ? request.tier",
  ),
  bug(DECIDE, "an incident keeps its tier", "verdict.incident === true) ? 4 : tier", "verdict.incident === true) ? tier : tier"),
  bug(DECIDE, "incidents only where every rule has one", "incident: strictest.some(", "incident: strictest.every("),
  bug(DECIDE, "what is tainted may be batched", " && request.context.i > Integrity.UNTRUSTED", ""),
  bug(DECIDE, "a refusal may be batched", 'batchable: outcome === "ask"', 'batchable: outcome !== "allow"'),
  bug(DECIDE, "a rule's question is forgotten", 'ruled.outcome === "allow" ? null', 'ruled.outcome !== "deny" ? null'),
  bug(DECIDE, "a clearance up to its level and no further down", "object.label.c > clearance.c", "object.label.c >= clearance.c"),
  bug(
    DECIDE,
    "categories are open until somebody closes them",
    "(category) => !clearance.k.includes(category)",
    "(category) => clearance.k.includes(category)",
  ),
  bug(DECIDE, "a message is no write", 'operation === "write" || operation === "send"', 'operation === "write"'),
  bug(DECIDE, "writing down a level is no writing down", "context.c <= object.label.c", "context.c <= object.label.c + 1"),
  bug(DECIDE, "declassifiable the other way round", 'declassifiable ? "ask" : "deny"', 'declassifiable ? "deny" : "ask"'),
  bug(DECIDE, "an argument may be weaker by one", "label.i < required", "label.i < required - 1"),
  bug(DECIDE, "contents steer", 'role === "control" && label.i', 'role !== "none" as string && label.i'),
  bug(DECIDE, "only the first argument counts", "request.arguments.find(", "request.arguments.slice(0, 1).find("),
  bug(DECIDE, "a sink takes a level more", "leaving(request) <= sink.maxC", "leaving(request) <= sink.maxC + 1"),
  bug(DECIDE, "secrets begin above secret", "leaving(request) >= Confidentiality.SECRET", "leaving(request) > Confidentiality.SECRET"),
  bug(DECIDE, "any sink is a place for secrets", "secret && !sink.listed", "secret && sink.listed && !sink.listed"),
  bug(DECIDE, "a plan is a list of what is forbidden", "!plan.includes(skill)", "plan.includes(skill)"),
  bug(DECIDE, "an empty plan is none", "plan !== null && !plan", "plan !== null && plan.length > 0 && !plan"),
  bug(DECIDE, "approval only above three", "tier === 3 ? { outcome", "tier > 3 ? { outcome"),
  bug(LABEL, "joining forgets what was confidential", "a.c > b.c ? a.c : b.c", "a.c > b.c ? b.c : a.c"),
  bug(LABEL, "joining lifts integrity", "a.i < b.i ? a.i : b.i", "a.i < b.i ? b.i : a.i"),
  bug(LABEL, "joining keeps one side's categories", "k: union(a.k, b.k)", "k: a.k"),
  bug(LABEL, "a union of one's own", "[...new Set([...a, ...b])].sort()", "[...a, ...b].sort()"),
  bug(ENDORSE, "a part of what was said is enough", "return value === String(other);", "return value.includes(String(other));"),
  bug(ENDORSE, "any type is the right one", "accepts.includes(literal.type) && ", ""),
  bug(ENDORSE, "contents are lifted", 'argument.role !== "control" || ', ""),
  bug(ENDORSE, "numbers are texts", 'type === "number" && Number(value) === other', "value === String(other)"),
  bug(
    ENDORSE,
    "texts are numbers",
    "return value === String(other);",
    "return value === String(other) || Number(value) === Number(other);",
  ),
  bug(ENDORSE, "paths without case", "return value === String(other);", "return value.toLowerCase() === String(other).toLowerCase();"),
  bug(ENDORSE, "lifted to policy, and made public", "i: Integrity.PARENT_CONSOLE };", "i: Integrity.PARENT_CONSOLE, c: 0 };"),
  bug(MONITOR, "where it leads is judged without what was read", ", context: report.label }", " }"),
  bug(MONITOR, "it may lead on without end", "if (left === 0)", "if (left < -20)"),
  bug(MONITOR, "what leads nowhere was done", 'if (!next.ok) return { ...report, status: "denied"', "if (!next.ok) return { ...report"),
  bug(MONITOR, "where it leads is not gone to", "step.prepared.follow?.(report.executed) ?? null", "null"),
  bug(MONITOR, "the first call is made again where it leads on", "...step, ...next.value,", "...next.value, ...step,"),
  bug(MONITOR, "a refusal is noted and done", 'if (decision.outcome === "deny") return close(', "if (false as boolean) return close("),
  bug(MONITOR, "nobody to ask is a yes", 'return bare("unanswered", "nobody")', 'return bare("allowed", "nobody")'),
  bug(MONITOR, "silence is a yes", 'if (answer === "unanswered")', "if (false as boolean)"),
  bug(MONITOR, "no is a yes", 'if (answer === "denied")', "if (false as boolean)"),
  bug(MONITOR, "done without a word in the log", "if (!intent.ok)\n", "if (!intent.ok && (false as boolean))\n"),
  bug(MONITOR, "done without the answer in the log", "if (!noted.ok)\n", "if (!noted.ok && (false as boolean))\n"),
  bug(MONITOR, "what changed meanwhile is done", "if (permit.digest !== effect) return", "if (false as boolean) return"),
  bug(
    MONITOR,
    "a result is as trusted as its file",
    "label: join(prepared.resultLabel, context),\n      decision,",
    "label: prepared.resultLabel,\n      decision,",
  ),
  bug(
    MONITOR,
    "arguments have the integrity of the skill",
    "{ ...argument, label: context }",
    "{ ...argument, label: { ...context, i: 4 } }",
  ),
  bug(MONITOR, "incidents are not counted", "if (decision.incident) audit.incident", "if (false as boolean) audit.incident"),
];

const dir = tempDir("noctem-monitor-mutants-");
afterAll(() => dir[Symbol.dispose]());
let copies = 0;

/** The monitor of a copy of the source, each time a new one: modules are loaded once a path. */
async function load(planted: Bug | null): Promise<MonitorModules> {
  const root = joinPath(dir.path, String(++copies));
  for (const part of ["src/bark/monitor", "src/lib"]) cpSync(joinPath(ROOT, part), joinPath(root, part), { recursive: true });
  if (planted !== null) {
    const path = joinPath(root, planted.file);
    const text = readFileSync(path, "utf8");
    expect(text.includes(planted.find), `${planted.name}: ${planted.find}`).toBe(true);
    writeFileSync(
      path,
      text.replace(planted.find, () => planted.put),
    );
  }
  const from = async (file: string): Promise<unknown> => await import(joinPath(root, file));
  return {
    ...((await from(DECIDE)) as object),
    ...((await from(ENDORSE)) as object),
    ...((await from(MONITOR)) as object),
    ...((await from(LABEL)) as object),
  } as MonitorModules;
}

const now = 1_000_000 as Millis;
const permits = (): PermitDesk => new PermitDesk((bytes) => new Uint8Array(new Bun.CryptoHasher("sha256").update(bytes).digest()));

describe("a bug planted in the monitor", () => {
  test("is none where there is none", async () => {
    expect(await faultOfMonitor(await load(null), permits(), now)).toBeNull();
  });
  test.each(BUGS.map((planted) => [planted.name, planted] as const))("is seen: %s", async (_, planted) => {
    expect(await faultOfMonitor(await load(planted), permits(), now)).not.toBeNull();
  });
});
