/** Questions and grants on a real heart, with a clock and a person of the test's own. */
import { auditLog } from "../../src/audit/log.ts";
import type { DecidingPorts } from "../../src/bark/asking/decide.ts";
import { questions } from "../../src/bark/asking/decide.ts";
import { waitingDesk, type WaitingPorts } from "../../src/bark/asking/desk.ts";
import type { Question } from "../../src/bark/asking/record.ts";
import type { GrantRequest } from "../../src/bark/grants/desk.ts";
import { grantHolder, type GrantPorts } from "../../src/bark/grants/holder.ts";
import type { ApprovalQuestion, Reply } from "../../src/bark/monitor/monitor.ts";
import type { PlanDigest } from "../../src/bark/types.ts";
import type { OpenHeart } from "../../src/heart/open.ts";
import type { Millis } from "../../src/lib/brand.ts";
import { err, ok } from "../../src/lib/result.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { heartDeps } from "../../src/platform/heart.ts";

const { random } = heartDeps();
const { sha256 } = auditCrypto;

/** Both clocks of a computer: one that anybody sets, one that nobody does. */
export class TestClock {
  wall = Date.UTC(2026, 10, 29, 12);
  steady = 0;
  readonly now = (): Millis => this.wall as Millis;
  readonly monotonic = (): number => this.steady;
  pass(ms: number): void {
    this.wall += ms;
    this.steady += ms;
  }
}

export const stick = auditCrypto.ephemeral();

export function logOf(heart: OpenHeart): ReturnType<typeof auditLog> {
  return auditLog({ heart: heart.audit, heartId: heart.id, crypto: auditCrypto, random, stick: () => ok(stick) });
}

/** Asks; `each` is called at every look of the one who waits, and time goes on by one look's worth. */
export function asking(
  heart: OpenHeart,
  clock: TestClock,
  each: (question: Question | null, look: number) => void,
  over: Partial<WaitingPorts> = {},
): { ask(question: ApprovalQuestion, signal?: AbortSignal): Promise<Reply | "rehearse"> } {
  let looks = 0;
  const desk = waitingDesk({
    heart: heart.approvals,
    clock,
    random,
    sha256,
    async sleep(ms) {
      clock.pass(ms);
      each(questions({ heart: heart.approvals, clock, sha256 }, 50)[0] ?? null, ++looks);
      await Promise.resolve();
    },
    session: "console",
    waitMs: 5_000,
    waiting: () => undefined,
    describe: ({ kind }) => kind,
    flooded: () => undefined,
    ...over,
  });
  return {
    async ask(question, signal = new AbortController().signal) {
      const reply = await desk.ask(question, signal);
      return typeof reply === "string" && reply !== "rehearse" ? never() : reply;
    },
  };
}

export function decidingOn(heart: OpenHeart, clock: TestClock, over: Partial<DecidingPorts> = {}): DecidingPorts {
  const log = logOf(heart);
  return {
    heart: heart.approvals,
    clock,
    sha256,
    log({ intent, question, answer, digest, by, waitedMs }) {
      const written = log.approval({ of: intent, answer, digest, by, waited: waitedMs, question });
      return written.ok ? ok(undefined) : err(written.error.kind);
    },
    describe: ({ kind }) => kind,
    ...over,
  };
}

/** `touch made`, as the shell skill would prepare it. */
export function questionFor(over: Partial<ApprovalQuestion> = {}, effect = "a".repeat(64)): ApprovalQuestion {
  const { skill, prepared, decision, context } = requestFor("shell", { command: "touch made" });
  return {
    skill,
    prepared,
    decision,
    context,
    effect: effect as PlanDigest,
    policy: "b".repeat(64),
    intent: { session: "c".repeat(32), seq: 1 },
    remark: null,
    mayRehearse: true,
    offer: null,
    rehearsal: null,
    ...over,
  };
}

export function requestFor(skill: string, args: Readonly<Record<string, string>>, over: Partial<GrantRequest> = {}): GrantRequest {
  const command = args["command"] ?? "";
  return {
    skill,
    args,
    context: { c: 0, k: [], i: 3, p: [] },
    decision: {
      outcome: "ask",
      tier: 3,
      rule: "policy",
      reason: "No rule speaks of it.",
      incident: false,
      batchable: true,
      spoke: ["policy", "approval"],
    },
    prepared: {
      tier: 3,
      operation: "run",
      changesState: true,
      object: { kind: "command", name: command, label: { c: 1, k: ["files"], i: 0, p: [] }, reserved: false },
      declassifiable: true,
      sink: null,
      arguments: [],
      ruled: null,
      resultLabel: { c: 1, k: ["files"], i: 0, p: [] },
      effect: {
        kind: "process",
        stdin: null,
        read: ok,
        plan: {
          profile: "shell",
          tier: 3,
          argv: ["/bin/sh", "-c", command],
          cwd: "/w",
          env: {},
          mounts: [],
          workspace: { host: "/w", inside: "/w", mode: "copy-on-write" },
          seccomp: "deny+allow",
          network: { kind: "none" },
          limits: {
            wallMs: 1000,
            cpuSeconds: 1,
            memoryBytes: 1,
            processes: 1,
            outputBytes: 1,
            openFiles: 1,
            fileBytes: 1,
            diskBytes: 1,
          },
          floor: "namespaces",
        },
      },
    },
    ...over,
  };
}

export function holderOn(heart: OpenHeart, clock: TestClock, over: Partial<GrantPorts> = {}): ReturnType<typeof grantHolder> {
  const log = logOf(heart);
  return grantHolder({
    heart: heart.grants,
    clock,
    random,
    crypto: auditCrypto,
    workspace: "/w",
    trusted: () => ok({ by: "stick", publicKey: stick.publicKey }),
    stick: () => ok(stick),
    log(line) {
      const written = log.grant(line);
      return written.ok ? ok(undefined) : err(written.error.kind);
    },
    describe: ({ kind }) => kind,
    allowed: [],
    tell: () => undefined,
    ...over,
  });
}

function never(): never {
  throw new Error("a desk that waits in the heart says all of it");
}
