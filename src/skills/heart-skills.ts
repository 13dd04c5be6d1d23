import * as v from "valibot";
import { err, ok, type Result } from "../lib/result.ts";
import type { Effect, Lookup, PreparedCall, SkillRefusal } from "../bark/call.ts";
import type { BarkTier } from "../bark/types.ts";
import type { HeartMemory } from "../heart/memory.ts";
import type { HeartTasks } from "../heart/tasks.ts";
import type { Found } from "../heart/find.ts";
import { BOTTOM, join, type Label } from "../lib/label.ts";
import { short } from "./place.ts";
import type { Skill } from "./types.ts";

/** Of the heart, what skills may ask. */
export interface HeartForSkills {
  readonly tasks: Pick<HeartTasks, "open" | "get" | "labelOf">;
  readonly memory: HeartMemory;
  search(query: string, limit: number): Found;
}

const TaskSchema = v.strictObject({ id: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/), v.description("of one task"))) });
/** One line: in a question nothing tells a second line of it from the text that is to be remembered. */
const key = v.pipe(v.string(), v.minLength(1), v.maxLength(256), v.regex(/^\P{Cc}+$/u));
const MemorySchema = v.variant("operation", [
  v.strictObject({ operation: v.literal("recall"), key }),
  v.strictObject({ operation: v.literal("search"), text: v.pipe(v.string(), v.minLength(1), v.maxLength(500)) }),
  v.strictObject({ operation: v.literal("remember"), key, text: v.pipe(v.string(), v.minLength(1), v.maxLength(20_000)) }),
  v.strictObject({ operation: v.literal("forget"), key }),
]);

const SHOWN = 20;
/** What the heart holds is a person's own. */
const HEART: Label = { c: 2, k: ["heart"], i: 4, p: [] };

export const taskStatus = (heart: HeartForSkills): Skill<typeof TaskSchema> => ({
  name: "task_status",
  description: "Says which tasks are open, or how one task stands.",
  arguments: TaskSchema,
  tier: 0,
  prepare({ id }) {
    const tasks = id === undefined ? heart.tasks.open(SHOWN) : [heart.tasks.get(id)].flatMap((task) => (task === null ? [] : [task]));
    if (id !== undefined && tasks.length === 0) return Promise.resolve(refuse("not-found", `There is no task ${id}.`));
    const lines = tasks.map(
      ({ id: of, title, status, priority, result }) =>
        `${of} ${status}, priority ${priority}: ${title}${result === null ? "" : `\n  ${result}`}`,
    );
    const text = lines.length === 0 ? "No task is open." : lines.join("\n");
    // What a task was made of taints again: a page may have given it its title, and a worker its result.
    const label = tasks.reduce<Label>((all, task) => join(all, heart.tasks.labelOf(task.id)), { ...HEART, i: 2 });
    return Promise.resolve(
      ok(asking("task", id ?? "open tasks", label, { skill: "task_status", asked: { id: id ?? null } }, () => ok(text))),
    );
  },
});

export const memory = (heart: HeartForSkills): Skill<typeof MemorySchema> => ({
  name: "memory",
  description: "Recalls, searches, remembers and forgets short texts by a key.",
  arguments: MemorySchema,
  tier: 0,
  prepare: (args) => Promise.resolve(prepareMemory(args, heart)),
});

function prepareMemory(args: v.InferOutput<typeof MemorySchema>, heart: HeartForSkills): Result<PreparedCall, SkillRefusal> {
  switch (args.operation) {
    case "recall": {
      const item = heart.memory.recall(args.key);
      if (item === null) return refuse("not-found", `Nothing is remembered under ${short(args.key)}.`);
      // What it was learned from taints again.
      return ok(asking("memory", args.key, join(HEART, item.label), { skill: "memory", asked: args }, () => ok(item.text)));
    }
    case "search": {
      const { hits } = heart.search(args.text, SHOWN);
      const found = hits.filter(({ kind }) => kind === "memory");
      const labels = found.map((hit) => (hit.key === null ? BOTTOM : (heart.memory.recall(hit.key)?.label ?? BOTTOM)));
      const label = labels.reduce(join, HEART);
      const text =
        found.length === 0 ? "Nothing of that is remembered." : found.map((hit) => `${hit.key ?? ""}: ${hit.excerpt}`).join("\n");
      return ok(asking("memory", args.text, label, { skill: "memory", asked: args }, () => ok(text)));
    }
    case "remember":
      return ok(
        storing(args.key, `${args.key}\n${args.text}`, (label) => {
          const written = heart.memory.remember(args.key, args.text, label);
          return written.ok ? ok(`It is remembered under ${args.key}.`) : refuse("failed", "It could not be written to the heart.");
        }),
      );
    case "forget":
      return ok(
        storing(args.key, `${args.key}\n`, () => {
          const gone = heart.memory.forget(args.key);
          return gone.ok ? ok(`${args.key} is forgotten.`) : refuse("not-found", `Nothing is remembered under ${short(args.key)}.`);
        }),
      );
  }
}

const refuse = (kind: SkillRefusal["kind"], detail: string): Result<never, SkillRefusal> => err({ kind, detail });

const call = (
  tier: BarkTier,
  object: PreparedCall["object"],
  effect: Effect,
  resultLabel: Label,
  argument: string | null,
): PreparedCall => ({
  tier,
  operation: effect.kind === "store" ? "write" : "read",
  changesState: effect.kind === "store",
  object,
  declassifiable: false,
  sink: null,
  arguments: argument === null ? [] : [{ name: "key", role: "control", value: argument, required: 1 }],
  ruled: null,
  effect,
  resultLabel,
});

const asking = (kind: "task" | "memory", name: string, label: Label, of: Lookup, read: () => Result<string, SkillRefusal>): PreparedCall =>
  call(
    0,
    { kind, name, label: { ...label, i: 4 }, reserved: false },
    { kind: "answer", of, read: () => Promise.resolve(read()) },
    label,
    null,
  );

/**
 * The heart takes any confidentiality, because a memory keeps the label of what it was made of. What text from outside wants remembered or forgotten
 * is asked about, also under a key that the person named: they chose the key, and not what becomes of it.
 */
const storing = (name: string, text: string, write: (label: Label) => Result<string, SkillRefusal>): PreparedCall => ({
  ...call(
    1,
    { kind: "memory", name, label: { c: 2, k: ["heart"], i: 0, p: [] }, reserved: false },
    { kind: "store", text, write },
    HEART,
    name,
  ),
  tierUntrusted: 3,
});

const SignalSchema = v.strictObject({ to: v.pipe(v.string(), v.minLength(1)), text: v.pipe(v.string(), v.minLength(1)) });

export const signalSend: Skill<typeof SignalSchema> = {
  name: "signal_send",
  description: "Sends a message by Signal. Its transport is not there yet.",
  arguments: SignalSchema,
  tier: 1,
  prepare: () => Promise.resolve(refuse("unavailable", "Signal is not there yet: this version of Noctem cannot send messages.")),
};
