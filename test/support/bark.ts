/** The monitor's whole path on a real cage: a heart's log in memory, a scripted person, a workspace of its own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import compiled from "../../profiles/bark/policy.json";
import type { PreparedCall } from "../../src/bark/call.ts";
import { executor } from "../../src/bark/execute.ts";
import {
  type Answer,
  type ApprovalQuestion,
  type AuditTrail,
  type CallReport,
  type IntentEntry,
  type OutcomeEntry,
  ReferenceMonitor,
} from "../../src/bark/monitor/monitor.ts";
import { loadPolicy } from "../../src/bark/policy/load.ts";
import type { Policy } from "../../src/bark/policy/schema.ts";
import type { PendingStore } from "../../src/bark/pending.ts";
import { ok } from "../../src/lib/result.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { hostPrograms, workspaceReader } from "../../src/platform/skills/reader.ts";
import { workspaceSteps, type WorkspaceSteps } from "../../src/platform/workspace/apply.ts";
import { pendingStore } from "../../src/platform/workspace/pending.ts";
import { workspaceWriter } from "../../src/platform/workspace/writer.ts";
import { codeExec, shell } from "../../src/skills/run.ts";
import { CageRoom, clock, sha256 } from "./cage.ts";

const loaded = loadPolicy(compiled, sha256);
if (!loaded.ok) throw new Error(loaded.error.join("\n"));

type Said = Answer | "rehearse";
const TYPED = { c: 0, k: [], i: 3, p: [] } as const;

export class BarkRoom implements Disposable {
  readonly room = new CageRoom((permits) => hostCage({ permits, clock, sha256, env: process.env }));
  readonly workspace: string;
  readonly policy: Policy = loaded.ok ? loaded.value.policy : never();
  readonly steps: WorkspaceSteps;
  readonly pending: PendingStore;
  /** Milliseconds, for what waits. */
  now = 1;
  readonly intents: IntentEntry[] = [];
  readonly outcomes: OutcomeEntry[] = [];
  readonly approvals: Answer[] = [];
  readonly incidents: string[] = [];
  readonly questions: ApprovalQuestion[] = [];
  /** What the person says, one after the other; then nobody is there. */
  answers: Said[] = [];
  readonly monitor: ReferenceMonitor;
  readonly #cage = hostCage({ permits: this.room.permits, clock, sha256, env: process.env });
  #step = 0;

  constructor(workspace?: string, bounds?: Policy["changes"]) {
    this.workspace = workspace ?? this.room.workspace;
    mkdirSync(this.workspace, { recursive: true });
    this.steps = workspaceSteps(
      join(this.room.folder, "steps"),
      () => 1,
      () => String(++this.#step).padStart(6, "0"),
    );
    this.pending = pendingStore(
      join(this.room.folder, "pending"),
      () => this.now,
      () => `wait-${String(++this.#step).padStart(6, "0")}`,
    );
    const audit: AuditTrail = {
      intent: (entry) => ok({ session: "", seq: this.intents.push(entry) - 1 }),
      outcome: (_ref, entry) => ok(void this.outcomes.push(entry)),
      approval: (_ref, { answer }) => ok(void this.approvals.push(answer)),
      incident: (kind, detail) => void this.incidents.push(`${kind}: ${detail}`),
    };
    this.monitor = new ReferenceMonitor({
      clearanceOf: (skill) => this.policy.skills[skill]?.clearance ?? { c: 0, k: [] },
      tierOf: (skill) => this.policy.skills[skill]?.tier ?? 4,
      policy: "",
      audit,
      approvals: {
        who: "test",
        ask: (question) => {
          this.questions.push(question);
          return Promise.resolve(this.answers.shift() ?? "unanswered");
        },
      },
      permits: this.room.permits,
      clock,
      executor: executor({
        permits: this.room.permits,
        cage: this.#cage,
        clock,
        sha256,
        workspace: this.workspace,
        writer: workspaceWriter({ steps: this.steps, bounds: bounds ?? this.policy.changes, pending: this.pending }),
      }),
    });
  }

  put(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.workspace, path)), { recursive: true });
      writeFileSync(join(this.workspace, path), text);
    }
  }

  /** A command line as a person gives it to `noctem bark run shell`. */
  async shell(command: string, ...answers: readonly Said[]): Promise<CallReport> {
    return await this.#run(shell(this.#deps()).prepare({ command }, this.#context()), answers);
  }

  /** A bash script, which is always asked about. */
  async bash(code: string, ...answers: readonly Said[]): Promise<CallReport> {
    return await this.#run(codeExec(this.#deps()).prepare({ language: "bash", code }, this.#context()), answers);
  }

  async call(skill: string, prepared: PreparedCall): Promise<CallReport> {
    const { signal } = new AbortController();
    const said = prepared.arguments.map(({ value }) => ({ type: "quoted" as const, value: String(value) }));
    return await this.monitor.call({ skill, args: {}, prepared, context: TYPED, said, plan: null, remark: null, signal });
  }

  async #run(prepared: ReturnType<ReturnType<typeof shell>["prepare"]>, answers: readonly Said[]): Promise<CallReport> {
    const made = await prepared;
    if (!made.ok) throw new Error(made.error.detail);
    this.answers.push(...answers);
    return await this.call("shell", made.value);
  }

  readonly #context = () => ({ workspace: this.workspace, signal: new AbortController().signal });
  readonly #deps = () => ({
    policy: this.policy,
    reader: (at: string) => workspaceReader(at, () => this.room.folder),
    programs: hostPrograms,
    env: {},
  });

  [Symbol.dispose](): void {
    this.#cage[Symbol.dispose]();
    this.room[Symbol.dispose]();
  }
}

function never(): never {
  throw new Error("unreachable");
}
