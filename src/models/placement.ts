import { basename } from "node:path";
import type { HostFacts } from "../config/host.ts";
import type { ModelTier } from "../lib/message.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Installed } from "./inventory.ts";
import { DEFAULT_CONTEXT, fittingContext, LEAST_CONTEXT, memoryNeed, type ModelShape, together, usableMemory } from "./plan.ts";
import type { ModelError, Placement, PlacementWish, PlannedModel } from "./port.ts";
import { threadsOn } from "./record.ts";
import { shapeOfFacts } from "./shape.ts";

export interface Candidate {
  readonly model: Installed;
  readonly shape: ModelShape;
  /** Jinja source kept beside the model, or null. */
  readonly template: string | null;
}

/** Below this share of the task model's size a second model is too weak to answer for it. */
const QUICK_SHARE = 0.05;

export const candidateOf = (model: Installed, template: string | null): Candidate => ({
  model,
  shape: shapeOfFacts(model.facts),
  template,
});

/** One model for both tiers, because a person named it. */
export function placeNamed(host: HostFacts, chosen: Candidate, wish: PlacementWish): Result<Placement, ModelError> {
  const available = usableMemory(host);
  const context = contextFor(chosen, available, wish);
  if (context === null) return err(doesNotFit(chosen, available, wish));
  const planned = plannedModel(host, chosen, context, wish);
  return ok({ quick: planned, task: planned, reason: `${chosen.model.name} was asked for; ${speedClause(host, [chosen])}.`, hint: "" });
}

/**
 * The automatic choice, by what fits into memory beside the host's own programs: the largest model for tasks, and for quick
 * chat the largest smaller one that still fits beside it. A model of the starter's size answers only where there is
 * nothing better. What a processor makes of a model is measured, not guessed, so speed decides nothing here; it is said.
 */
export function placeBest(host: HostFacts, installed: readonly Candidate[], wish: PlacementWish): Result<Placement, ModelError> {
  const available = usableMemory(host);
  const bySize = installed.toSorted((a, b) => b.model.facts.parameters - a.model.facts.parameters || byName(a, b));
  const task = bySize.find((candidate) => contextFor(candidate, available, wish) !== null);
  if (task === undefined) {
    const smallest = bySize.at(-1);
    if (smallest === undefined) return ok({ quick: null, task: null, reason: "no model is installed", hint: "" });
    return err(doesNotFit(smallest, available, wish));
  }
  for (const quick of bySize) {
    if (!answersFor(quick, task)) continue;
    const contexts = contextsTogether(task, quick, available, wish);
    if (contexts === null) continue;
    const clauses = [`${task.model.name} for tasks and ${quick.model.name} for quick chat fit together`, speedClause(host, [task, quick])];
    return ok({
      quick: plannedModel(host, quick, contexts.quick, wish),
      task: plannedModel(host, task, contexts.task, wish),
      reason: `${clauses.join("; ")}.`,
      hint: "",
    });
  }
  const planned = plannedModel(host, task, contextFor(task, available, wish) ?? LEAST_CONTEXT, wish);
  return ok({ quick: planned, task: planned, reason: `${whyOne(task, bySize)}; ${speedClause(host, [task])}.`, hint: "" });
}

function whyOne(task: Candidate, all: readonly Candidate[]): string {
  const [largest] = all;
  if (all.length === 1) return `${task.model.name} is the only model here`;
  if (largest && largest !== task) return `${task.model.name} is the largest model that fits into memory (${largest.model.name} does not)`;
  return `${task.model.name} serves both tiers: no second model both suits and fits beside it`;
}

/** A quick model is smaller than the task model, and not so small that its answers are a joke beside it. */
function answersFor(quick: Candidate, task: Candidate): boolean {
  if (quick === task || quick.model.entry?.role === "starter") return false;
  const share = quick.model.facts.parameters / task.model.facts.parameters;
  return share < 0.75 && share >= QUICK_SHARE && tierOf(quick.model) === "quick";
}

/** A model in the catalogue is what it is listed as; of others, those up to 2.5 billion parameters count as quick. */
export const tierOf = (model: Pick<Installed, "entry" | "facts">): ModelTier =>
  model.entry?.tier ?? (model.facts.parameters <= 2.5e9 ? "quick" : "task");

/** The quick model keeps the shorter memory when both cannot have the full one: the task model needs it more. */
function contextsTogether(
  task: Candidate,
  quick: Candidate,
  available: number,
  wish: PlacementWish,
): { readonly task: number; readonly quick: number } | null {
  const least = memoryNeed(quick.shape, LEAST_CONTEXT, "ram");
  const wanted = wish.contextSize ?? DEFAULT_CONTEXT;
  const taskContext = fittingContext(task.shape, available - (least.total - least.runtime), "ram", wanted);
  if (taskContext === null || (wish.contextSize !== null && taskContext < Math.min(wish.contextSize, trained(task)))) return null;
  const taskNeed = memoryNeed(task.shape, taskContext, "ram");
  const quickContext = fittingContext(quick.shape, available - (taskNeed.total - taskNeed.runtime), "ram", wanted);
  if (quickContext === null) return null;
  return together(taskNeed, memoryNeed(quick.shape, quickContext, "ram")) <= available ? { task: taskContext, quick: quickContext } : null;
}

/** An asked-for size is taken or refused, never quietly made smaller; only training bounds it. */
function contextFor(candidate: Candidate, available: number, wish: PlacementWish): number | null {
  if (wish.contextSize === null) return fittingContext(candidate.shape, available, "ram");
  const size = Math.min(wish.contextSize, trained(candidate));
  return memoryNeed(candidate.shape, size, "ram").total <= available ? size : null;
}

const trained = ({ shape }: Candidate): number => (shape.context > 0 ? shape.context : Infinity);

function doesNotFit(candidate: Candidate, available: number, wish: PlacementWish): ModelError {
  const size = Math.min(wish.contextSize ?? LEAST_CONTEXT, trained(candidate));
  return { kind: "does-not-fit", name: candidate.model.name, needed: memoryNeed(candidate.shape, size, "ram").total, available };
}

function plannedModel(host: HostFacts, { model, template }: Candidate, contextSize: number, wish: PlacementWish): PlannedModel {
  return {
    name: model.name,
    path: model.path,
    fileBytes: model.size,
    contextSize,
    gpu: wish.gpu,
    threads: threadsOn(model.record, host.fingerprint),
    template,
  };
}

/** Speeds are quoted from measurements of this computer or not at all. */
export function speedClause(host: HostFacts, models: readonly Candidate[]): string {
  const known = models.flatMap(({ model }) => {
    const speed = measuredSpeed(model, host);
    return speed === null ? [] : [{ name: model.name, speed }];
  });
  if (known.length === 0) return "its speed here is not measured yet";
  const said = known.map(({ name, speed }) => `${models.length > 1 ? `${name} ` : ""}${speed.toFixed(speed < 10 ? 1 : 0)} tokens/s`);
  return `measured on this computer: ${said.join(", ")}`;
}

/** Tokens per second of generation, as measured here; null when never. */
export function measuredSpeed(model: Installed, host: HostFacts): number | null {
  const threads = threadsOn(model.record, host.fingerprint);
  return threads?.measured.find((sample) => sample.threads === threads.generate)?.generateTokensPerSecond ?? null;
}

const byName = (a: Candidate, b: Candidate): number => (basename(a.model.path) < basename(b.model.path) ? -1 : 1);
