import { basename, isAbsolute, join } from "node:path";
import type { HostFacts } from "../config/host.ts";
import type { StickLayout } from "../config/layout.ts";
import type { ThreadPlan } from "../engine/port.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { nearest } from "../lib/nearest.ts";
import type { Catalogue, CatalogueModel } from "./catalogue.ts";
import { examine, type Found, type Installed, takeInventory } from "./inventory.ts";
import { candidateOf, measuredSpeed, placeBest, placeNamed, tierOf } from "./placement.ts";
import { fittingContext, LEAST_CONTEXT, memoryNeed, usableMemory } from "./plan.ts";
import type { ListedModel, ModelError, ModelLibrary, Placement, PlacementWish } from "./port.ts";
import type { ModelFiles } from "./ports.ts";
import { emptyRecord, formatRecord, type ModelRecord, recordPath, withHost } from "./record.ts";
import { shapeOfCatalogue, shapeOfFacts } from "./shape.ts";

export interface LibraryDeps {
  readonly layout: StickLayout;
  readonly files: ModelFiles;
  readonly catalogue: Catalogue;
  /** Asked anew each time: memory comes and goes. */
  readonly host: () => HostFacts;
}

export function createModelLibrary(deps: LibraryDeps): ModelLibrary {
  return {
    place: (wish) => place(deps, wish),
    list: () => list(deps),
    async pull(name) {
      return err({ kind: "download-failed", name, attempts: [] });
    },
    async importFile(path) {
      return err({ kind: "missing-file", path });
    },
    recordThreads: (path, threads) => recordThreads(deps, path, threads),
  };
}

/** Longer than any template of today. */
const MAX_TEMPLATE = 1 << 20;

async function place(deps: LibraryDeps, wish: PlacementWish): Promise<Result<Placement, ModelError>> {
  const host = deps.host();
  if (wish.model !== null) {
    const found = await findModel(deps, host, wish.model);
    if (!found.ok) return found;
    return placeNamed(host, candidateOf(found.value, await ownTemplate(deps, found.value)), wish);
  }
  const found = await inventory(deps, host);
  const ready = found.flatMap((entry) => (entry.state === "ready" ? [entry.model] : []));
  if (ready.length > 0) {
    const candidates = [];
    for (const model of ready) candidates.push(candidateOf(model, await ownTemplate(deps, model)));
    return placeBest(host, candidates, wish);
  }
  const broken = found.find((entry) => entry.state === "broken");
  if (broken?.state === "broken") return err({ kind: "broken-file", path: broken.model.path, detail: broken.model.detail });
  return ok({ quick: null, task: null, reason: "no model is installed", hint: noModelHint(deps.catalogue, host) });
}

function noModelHint(catalogue: Catalogue, host: HostFacts): string {
  const fitting = recommended(catalogue, host);
  const what = fitting === null ? "" : ` "noctem models pull ${fitting.name}" fetches the one that suits this computer.`;
  return `There is no model here yet.${what} "noctem models list" shows what can be had.`;
}

/** The primary model where it fits, else the router, else the starter. */
export function recommended(catalogue: Catalogue, host: HostFacts): CatalogueModel | null {
  const available = usableMemory(host);
  const fits = (model: CatalogueModel | undefined): model is CatalogueModel =>
    model !== undefined && fittingContext(shapeOfCatalogue(model), available, "ram") !== null;
  for (const role of ["primary", "router", "starter"] as const) {
    const model = catalogue.models.find((entry) => entry.role === role);
    if (fits(model)) return model;
  }
  return null;
}

/** A name, an alias, the name of a file in the models folder with or without its ending, or an absolute path. */
export async function findModel(deps: LibraryDeps, host: HostFacts, wanted: string): Promise<Result<Installed, ModelError>> {
  if (isAbsolute(wanted)) {
    const found = await examine(wanted, { ...deps, fingerprint: host.fingerprint });
    return found === null ? err({ kind: "missing-file", path: wanted }) : usable(found);
  }
  const found = await inventory(deps, host);
  const entry = deps.catalogue.find(wanted);
  const typed = wanted.toLowerCase();
  const match =
    found.find(({ model }) => model.name.toLowerCase() === typed || (entry !== null && model.entry === entry)) ??
    found.find(({ model }) => [typed, `${typed}.gguf`].includes(basename(model.path).toLowerCase()));
  if (match) return usable(match);
  if (entry) return err({ kind: "not-installed", name: entry.name });
  const close = nearest(
    wanted,
    found.map(({ model }) => model.name),
  );
  return err({
    kind: "unknown-model",
    name: wanted,
    near: [...new Set([...(close === null ? [] : [close]), ...deps.catalogue.near(wanted)])],
  });
}

const usable = (found: Found): Result<Installed, ModelError> =>
  found.state === "ready" ? ok(found.model) : err({ kind: "broken-file", path: found.model.path, detail: found.model.detail });

export const inventory = (deps: LibraryDeps, host: HostFacts): Promise<readonly Found[]> =>
  takeInventory(deps.layout.models, { ...deps, fingerprint: host.fingerprint });

async function ownTemplate(deps: LibraryDeps, model: Installed): Promise<string | null> {
  const name = model.record?.template ?? null;
  return name === null ? null : await deps.files.readText(join(deps.layout.models, name), MAX_TEMPLATE);
}

async function list(deps: LibraryDeps): Promise<readonly ListedModel[]> {
  const host = deps.host();
  const available = usableMemory(host);
  const found = await inventory(deps, host);
  const here = found.map((entry) => (entry.state === "ready" ? listedReady(entry.model, host, available) : listedBroken(entry.model)));
  const present = new Set(found.map(({ model }) => model.entry));
  const best = recommended(deps.catalogue, host);
  const offered = deps.catalogue.models
    .filter((model) => !present.has(model))
    .map((model) => listedOffer(model, available, model === best));
  const bySize = (a: ListedModel, b: ListedModel): number => ORDER[a.state] - ORDER[b.state] || b.size - a.size;
  return [...here, ...offered].sort(bySize);
}

const ORDER = { ready: 0, broken: 1, "found-on-host": 2, downloadable: 3 } as const;

function listedReady(model: Installed, host: HostFacts, available: number): ListedModel {
  const speed = measuredSpeed(model, host);
  const clauses = [
    fitClause(shapeOfFacts(model.facts), available),
    ...(speed === null ? [] : [`${speed.toFixed(speed < 10 ? 1 : 0)} tokens/s here`]),
    ...greetingClause(model),
    ...(model.linked ? ["lies on this computer"] : []),
  ];
  return { name: model.name, state: "ready", size: model.size, tier: tierOf(model), verdict: clauses.join(", "), path: model.path };
}

function greetingClause({ record, facts }: Installed): readonly string[] {
  switch (record?.greeting?.outcome) {
    case "rambles":
      return ["did not end its answer to a greeting"];
    case "failed":
      return [`could not be tried: ${record.greeting.detail}`];
    case "ends":
    case "no-template":
    case undefined:
      return facts.hasTemplate || record?.template ? [] : ["no chat template: a base model"];
  }
}

const listedBroken = (model: Extract<Found, { state: "broken" }>["model"]): ListedModel => ({
  name: model.name,
  state: "broken",
  size: model.size,
  tier: model.entry?.tier ?? "quick",
  verdict: model.detail,
  path: model.path,
});

function listedOffer(model: CatalogueModel, available: number, best: boolean): ListedModel {
  const clauses = [
    fitClause(shapeOfCatalogue(model), available),
    ...(best ? ["suits this computer"] : []),
    ...(model.tools ? ["calls tools"] : []),
    model.licence,
  ];
  return { name: model.name, state: "downloadable", size: model.size ?? 0, tier: model.tier, verdict: clauses.join(", "), path: null };
}

function fitClause(shape: ReturnType<typeof shapeOfCatalogue>, available: number): string {
  const context = fittingContext(shape, available, "ram");
  if (context !== null) return `fits with a context of ${context}`;
  const missing = memoryNeed(shape, Math.min(LEAST_CONTEXT, shape.context || LEAST_CONTEXT), "ram").total - available;
  return `does not fit: ${(missing / 1e9).toFixed(1)} GB of memory are missing`;
}

/** A record that cannot be written is no harm: the next start measures again. */
async function recordThreads(deps: LibraryDeps, path: string, threads: ThreadPlan): Promise<void> {
  const host = deps.host().fingerprint;
  await updateRecord(deps, host, path, (record) => withHost(record, host, { threads }));
}

async function updateRecord(
  deps: LibraryDeps,
  fingerprint: string,
  path: string,
  change: (record: ModelRecord) => ModelRecord,
): Promise<void> {
  const found = await modelAt(deps, fingerprint, path);
  if (found === null) return;
  const { first, files, facts, record, linked } = found;
  const before = record ?? emptyRecord(files.map((file) => ({ name: basename(file.path), size: file.size })));
  const after = change({ ...before, facts: { size: first.size, mtimeMs: first.mtimeMs, header: facts } });
  // A file somewhere on the host is read, never given a neighbour; a linked model's record lies on the stick.
  const own = linked ? join(deps.layout.models, after.files[0]?.name ?? "") : path;
  if (!own.startsWith(`${deps.layout.models}/`)) return;
  await deps.files.replaceText(recordPath(own), formatRecord(after));
}

async function modelAt(deps: LibraryDeps, fingerprint: string, path: string): Promise<Installed | null> {
  const inside = path.startsWith(`${deps.layout.models}/`);
  const all = inside ? [await examine(path, { ...deps, fingerprint })] : await takeInventory(deps.layout.models, { ...deps, fingerprint });
  for (const found of all) if (found?.state === "ready" && found.model.path === path) return found.model;
  return null;
}
