import type { PreparedCall } from "../bark/call.ts";
import { bwrapOptions, innerCommand, wordText } from "../bark/cage/argv.ts";
import { BUS_VARIABLE, dbusLines } from "../bark/cage/dbus.ts";
import type { CagePlan } from "../bark/cage/types.ts";
import { networkJson, reachLines } from "../bark/proxy/report.ts";
import { PROXY_NAMES, proxyVariables } from "../bark/proxy/types.ts";
import { literalsOf } from "../bark/monitor/endorse.ts";
import type { CallReport } from "../bark/monitor/monitor.ts";
import type { Decision } from "../bark/types.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import type { Json } from "../lib/canonical-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { exact } from "../lib/exact.ts";
import type { ToolDeclaration } from "../skills/types.ts";
import { type BarkArguments, type BarkDesk, barkDesk } from "./bark-desk.ts";
import { decideWaiting } from "./bark-pending-run.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { rememberParent } from "./parent-gate.ts";

interface CallArguments extends BarkArguments {
  readonly skill: string;
  readonly args: readonly string[] | undefined;
}

export async function runCall(args: CallArguments, io: CommandIo): Promise<number> {
  return await withCall("run", args, io, async (desk, call) => {
    const { skill, json } = args;
    rememberParent(desk.layout, desk.heart);
    const report = await desk.monitor.call({ ...call, skill, context: desk.typed, plan: null, remark: null, signal: io.signal });
    for (const cut of desk.log.interrupted)
      io.err(
        `noctem: Begun earlier and without an outcome in the log, because it was cut off or still runs elsewhere: ${forTerminal(cut)}\n`,
      );
    const waiting = report.executed?.workspace?.waiting ?? null;
    if (json) io.out(`${JSON.stringify(reportJson(report))}\n`);
    else {
      const text = io.stdoutIsTerminal ? forTerminal(report.text) : report.text;
      if (isOutput(report) && text !== "") io.out(text.endsWith("\n") ? text : `${text}\n`);
      for (const line of commentary(report)) io.err(`noctem: ${forTerminal(line)}\n`);
    }
    // What it wrote is kept by now, so that nothing depends on the answer, or on there being one.
    const decided = waiting !== null && io.stdinIsTerminal && io.stderrIsTerminal ? await decideWaiting(desk, waiting, io.signal) : null;
    if (decided !== null && json !== true) io.err(`noctem: ${forTerminal(decided.text)}\n`);
    return CODES[report.status];
  });
}

const CODES: Readonly<Record<CallReport["status"], number>> = {
  done: ExitCode.DONE,
  failed: ExitCode.SKILL_FAILED,
  denied: ExitCode.DENIED,
  unanswered: ExitCode.NO_APPROVAL,
  "no-cage": ExitCode.NO_CAGE,
};

/** What a skill answered, or a program printed. A sentence about why there is nothing goes to the other stream. */
const isOutput = ({ executed, status }: Pick<CallReport, "executed" | "status">): boolean =>
  executed !== null && (status === "done" || executed.cage !== null);

function commentary({ text, executed, blocked, status }: CallReport): readonly string[] {
  const lines: string[] = [];
  if (!isOutput({ executed, status })) lines.push(text);
  if (status === "unanswered") lines.push(...blocked.flatMap(({ instead }) => (instead === null ? [] : [instead])));
  if (executed === null) return lines;
  const { workspace } = executed;
  if (workspace !== null && workspace.applied.length > 0)
    lines.push(`${workspace.applied.length} file${workspace.applied.length === 1 ? "" : "s"} written. Take it back with: noctem bark undo`);
  for (const { what, reason, instead } of blocked) lines.push(`blocked: ${exact(what)}: ${reason}${instead === null ? "" : ` ${instead}`}`);
  return lines;
}

const reportJson = ({ status, text, decision, blocked, executed, label }: CallReport): object => ({
  status,
  text,
  decision: decisionJson(decision),
  label: { c: label.c, k: label.k, i: label.i },
  blocked,
  ...(executed?.cage
    ? {
        cage: {
          level: executed.cage.level,
          view: executed.cage.view,
          code: executed.cage.code,
          stopped: executed.cage.stopped,
          ms: executed.cage.wallMs,
        },
        ...(executed.cage.network === null ? {} : { network: networkJson(executed.cage.network) }),
      }
    : {}),
  ...(executed?.workspace
    ? { workspace: { applied: executed.workspace.applied, undo: executed.workspace.undo, waiting: executed.workspace.waiting } }
    : {}),
});

const decisionJson = ({ outcome, tier, rule, reason, spoke, incident }: Decision): object => ({
  outcome,
  tier,
  rule,
  reason,
  spoke,
  incident,
});

export async function explainCall(args: CallArguments, io: CommandIo): Promise<number> {
  return await withCall("explain", args, io, (desk, { prepared, args: values, said }) => {
    const decision = desk.monitor.judge({ skill: args.skill, args: values, prepared, context: desk.typed, said, plan: null });
    const plan = prepared.effect.kind === "process" ? prepared.effect.plan : null;
    if (args.json) {
      io.out(
        `${JSON.stringify({ skill: args.skill, policy: desk.policyHash, decision: decisionJson(decision), effect: prepared.effect.kind, plan })}\n`,
      );
      return Promise.resolve(ExitCode.DONE);
    }
    for (const line of explained(args.skill, prepared, decision, plan)) io.out(`${forTerminal(line)}\n`);
    return Promise.resolve(ExitCode.DONE);
  });
}

const OUTCOMES = { allow: "allowed, and logged", ask: "asked about", deny: "denied" } as const;

function explained(skill: string, prepared: PreparedCall, decision: Decision, plan: CagePlan | null): readonly string[] {
  const lines = [
    `${skill}: ${OUTCOMES[decision.outcome]} (tier ${decision.tier}, rule ${decision.rule})`,
    decision.reason,
    ...(decision.spoke.length > 1 ? [`Rules that spoke: ${decision.spoke.join(", ")}`] : []),
  ];
  if (prepared.effect.kind === "changes") return [...lines, "", "It would change:", ...prepared.effect.diff.split("\n")];
  if (plan === null) return lines;
  const { limits, workspace, network, seccomp, env, argv, dbus = [] } = plan;
  return [
    ...lines,
    "",
    `Runs       ${argv.map(exact).join(" ")}`,
    `Sees       /usr, a few files of /etc, and ${workspace === null ? "none of your files" : `${workspace.inside}${workspace.git === undefined ? "" : ` with its git repository ${workspace.git.host}`} (${workspace.mode === "read" ? "read-only" : "a copy; changes are checked before they are written"})`}`,
    ...plan.mounts.map((mount) => `           ${mount.kind} ${exact(mount.to)}`),
    "Writes     /tmp and a home folder in memory, gone afterwards",
    ...(network.kind === "none" ? ["none"] : [`127.0.0.1:${network.port}, which leads to the proxy`, ...reachLines(network.reach)]).map(
      (line, index) => (index === 0 ? "Network" : "").padEnd(11) + line,
    ),
    ...(dbus.length === 0 ? ["none"] : dbusLines(dbus)).map((line, index) => (index === 0 ? "D-Bus" : "").padEnd(11) + line),
    `Calls      ${seccomp === "deny+allow" ? "those on the list (profiles/seccomp/allow.json), and none of deny.json" : "all but those of profiles/seccomp/deny.json"}`,
    `Variables  ${[...Object.keys(env), ...(network.kind === "none" ? [] : PROXY_NAMES), ...(dbus.length === 0 ? [] : [BUS_VARIABLE])].join(", ")}`,
    `Limits     ${limits.wallMs / 1000} s, ${mb(limits.memoryBytes)} MB, ${limits.processes} processes, ${mb(limits.diskBytes)} MB written, ${limits.outputBytes >> 10} kB of output`,
    "",
    `bwrap ${bwrapOptions(
      plan,
      { etc: [], roots: [], hidden: [] },
      { seccomp: seccomp === "deny+allow" ? [4, 5] : [4], files: [] },
      network.kind === "none" ? null : { socket: "SOCKET", env: proxyVariables(network.port, "TOKEN") },
      dbus.length === 0 ? null : "BUS",
    )
      .map((word) => exact(wordText(word)))
      .join(" ")} -- ${innerCommand(plan).map(exact).join(" ")}`,
  ];
}

const mb = (bytes: number): number => Math.round(bytes / 2 ** 20);

interface Call {
  readonly prepared: PreparedCall;
  readonly args: Json;
  readonly said: ReturnType<typeof literalsOf>;
}

async function withCall(
  purpose: "run" | "explain",
  args: CallArguments,
  io: CommandIo,
  work: (desk: BarkDesk, call: Call) => Promise<number>,
): Promise<number> {
  const fail = (kind: string, text: string, code: number): number => {
    if (args.json) io.out(`${JSON.stringify({ error: { kind, message: text, code } })}\n`);
    io.err(`noctem: ${forTerminal(text)}\n`);
    return code;
  };
  const made = barkDesk(args, io);
  if (!made.ok) return fail("desk", made.error.text, made.error.code);
  using desk = made.value;
  const words = args.args ?? [];
  const declaration = desk.registry.declarations().find(({ name }) => name === args.skill) ?? null;
  const values = argumentsOf(words, declaration);
  if (!values.ok) return fail("bad-arguments", values.error, ExitCode.USAGE);
  const prepared = await desk.registry.prepare(args.skill, values.value, { workspace: desk.workspace, signal: io.signal });
  if (!prepared.ok) {
    if (prepared.error.kind === "outside" && purpose === "run") desk.monitor.reachedOutside(args.skill, prepared.error.detail);
    return fail(prepared.error.kind, prepared.error.detail, REFUSED[prepared.error.kind]);
  }
  // Each word of the command line is something that the person named.
  const said = [
    ...literalsOf(words.join(" ")),
    ...Object.values(values.value).map((value) => ({ type: "quoted" as const, value: String(value) })),
  ];
  return await work(desk, { prepared: prepared.value, args: values.value, said });
}

const REFUSED = {
  "bad-arguments": ExitCode.USAGE,
  "not-found": ExitCode.USAGE,
  outside: ExitCode.DENIED,
  unsuitable: ExitCode.USAGE,
  "too-large": ExitCode.USAGE,
  unavailable: ExitCode.USAGE,
  failed: ExitCode.SKILL_FAILED,
} as const;

type Values = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** One JSON object, NAME=VALUE words, or the one argument that the skill cannot do without. */
function argumentsOf(words: readonly string[], declaration: ToolDeclaration | null): Result<Values, string> {
  const [first = ""] = words;
  if (words.length === 1 && first.trimStart().startsWith("{")) {
    try {
      const value: unknown = JSON.parse(first);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) return ok(value as Values);
    } catch {
      // Said below.
    }
    return err("The arguments begin like a JSON object and are none.");
  }
  const types = propertyTypes(declaration);
  const known = [...types.keys()];
  const needed = requiredOf(declaration);
  const isNamed = (word: string): boolean => known.includes(word.split("=", 1)[0] ?? "") && word.includes("=");
  // An address is one word, and others may follow it; a command is all of them.
  if (needed.length === 1 && needed[0] === "url" && words.length > 0 && !isNamed(first))
    return argumentsOf([`url=${first}`, ...words.slice(1)], declaration);
  if (!words.every(isNamed) && needed.length === 1 && words.length > 0) return ok({ [needed[0] ?? ""]: words.join(" ") });
  const wrong = words.find((word) => !word.includes("="));
  if (wrong !== undefined) return err(`"${exact(wrong)}" is no NAME=VALUE. ${known.length === 0 ? "" : `There are: ${known.join(", ")}.`}`);
  return ok(
    Object.fromEntries(
      words.map((word) => {
        const at = word.indexOf("=");
        const [name, text] = [word.slice(0, at), word.slice(at + 1)];
        const type = types.get(name);
        if (type === "array") return [name, text.split(",")];
        return [name, (type === "integer" || type === "number") && /^-?\d+$/.test(text) ? Number(text) : text];
      }),
    ),
  );
}

/** Arguments that every form of it has to have. */
function requiredOf(declaration: ToolDeclaration | null): readonly string[] {
  const required = declaration?.parameters["required"];
  return Array.isArray(required) ? required.map(String) : [];
}

/** Of the JSON schema, also where it has several forms. */
function propertyTypes(declaration: ToolDeclaration | null): ReadonlyMap<string, string> {
  const types = new Map<string, string>();
  const look = (schema: unknown): void => {
    if (typeof schema !== "object" || schema === null) return;
    const { properties, anyOf, oneOf } = schema as { readonly properties?: object; readonly anyOf?: unknown; readonly oneOf?: unknown };
    for (const [name, value] of Object.entries(properties ?? {})) {
      const { type } = value as { readonly type?: unknown };
      types.set(name, typeof type === "string" ? type : "");
    }
    for (const forms of [anyOf, oneOf]) if (Array.isArray(forms)) forms.forEach(look);
  };
  look(declaration?.parameters);
  return types;
}
