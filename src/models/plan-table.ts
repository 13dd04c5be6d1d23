import type { HostFacts } from "../config/host.ts";
import type { ModelTier } from "../lib/message.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Found } from "./inventory.ts";
import { tierOf } from "./placement.ts";
import { fittingContext, loadSeconds, memoryNeed, type MemoryNeed, type ModelShape, together, usableMemory } from "./plan.ts";
import { shapeOfCatalogue, shapeOfFacts } from "./shape.ts";

/** What `models plan` shows: every model that is here or could be, on this computer. Bytes and seconds. */
export interface PlanTable {
  readonly host: HostFacts;
  /** What a model may take, after the reserve for the host's own programs. */
  readonly available: number;
  readonly models: readonly PlannedRow[];
  readonly pairs: readonly PlannedPair[];
}

export interface PlannedRow {
  readonly name: string;
  readonly tier: ModelTier;
  readonly installed: boolean;
  readonly size: number;
  /** From published figures, not from the file. */
  readonly estimated: boolean;
  /** The largest context that fits up to the default, or null. */
  readonly context: number | null;
  readonly loadSeconds: number | null;
  readonly needs: readonly { readonly contextSize: number; readonly ram: MemoryNeed; readonly gpu: MemoryNeed; readonly fits: boolean }[];
}

export interface PlannedPair {
  readonly task: string;
  readonly quick: string;
  readonly contextSize: number;
  readonly ram: number;
  readonly gpu: number;
  readonly fits: boolean;
}

interface Plannable {
  readonly name: string;
  readonly tier: ModelTier;
  readonly installed: boolean;
  readonly size: number;
  readonly shape: ModelShape;
  readonly role: "primary" | "router" | "starter" | null;
  readonly readBytesPerSecond: number | null;
}

export interface PlanOptions {
  /** This model alone. */
  readonly only: string | null;
  /** Of the stick. */
  readonly readBytesPerSecond: number | null;
}

export function planTable(
  host: HostFacts,
  found: readonly Found[],
  catalogue: Catalogue,
  contexts: readonly number[],
  { only, readBytesPerSecond }: PlanOptions,
): PlanTable {
  const available = usableMemory(host);
  const ready = found.flatMap((entry) => (entry.state === "ready" ? [entry.model] : []));
  const here = ready.map((model): Plannable => ({
    name: model.name,
    tier: tierOf(model),
    installed: true,
    size: model.size,
    shape: shapeOfFacts(model.facts),
    role: model.entry?.role ?? null,
    readBytesPerSecond,
  }));
  const offered = catalogue.models
    .filter((model) => !ready.some(({ entry }) => entry === model))
    .map((model): Plannable => ({
      name: model.name,
      tier: model.tier,
      installed: false,
      size: model.size ?? 0,
      shape: shapeOfCatalogue(model),
      role: model.role,
      readBytesPerSecond,
    }));
  const all = [...here, ...offered].sort((a, b) => b.size - a.size).filter((model) => only === null || model.name === only);
  return { host, available, models: all.map((model) => rowOf(model, contexts, available)), pairs: pairsOf(all, contexts, available) };
}

function rowOf(
  { name, tier, installed, size, shape, readBytesPerSecond }: Plannable,
  contexts: readonly number[],
  available: number,
): PlannedRow {
  const sizes = contexts.filter((context) => shape.context === 0 || context <= shape.context);
  return {
    name,
    tier,
    installed,
    size,
    estimated: !installed,
    context: fittingContext(shape, available, "ram"),
    loadSeconds: loadSeconds(size, readBytesPerSecond),
    needs: sizes.map((contextSize) => {
      const ram = memoryNeed(shape, contextSize, "ram");
      return { contextSize, ram, gpu: memoryNeed(shape, contextSize, "gpu"), fits: ram.total <= available };
    }),
  };
}

function pairsOf(all: readonly Plannable[], contexts: readonly number[], available: number): readonly PlannedPair[] {
  const quick = all.find((model) => model.role === "router") ?? all.find((model) => model.tier === "quick" && model.role !== "starter");
  if (quick === undefined) return [];
  return all
    .filter((task) => task.tier === "task")
    .flatMap((task) =>
      contexts.slice(0, 2).map((contextSize) => {
        const of = (device: "ram" | "gpu"): number =>
          together(memoryNeed(task.shape, contextSize, device), memoryNeed(quick.shape, contextSize, device));
        return { task: task.name, quick: quick.name, contextSize, ram: of("ram"), gpu: of("gpu"), fits: of("ram") <= available };
      }),
    );
}
