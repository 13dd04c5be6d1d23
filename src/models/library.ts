import { basename, isAbsolute, join, normalize } from "node:path";
import type { HostFacts } from "../config/host.ts";
import type { ThreadPlan } from "../engine/port.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { nearest } from "../lib/nearest.ts";
import type { Catalogue, CatalogueModel } from "./catalogue.ts";
import type { LibraryDeps, ShopDeps } from "./deps.ts";
import type { HostFind } from "./host-finds.ts";
import { hostFinds, importFile, type ImportOptions } from "./import.ts";
import { examine, type Found, type Installed, partPaths, takeInventory } from "./inventory.ts";
import { candidateOf, measuredSpeed, placeBest, placeNamed, tierOf } from "./placement.ts";
import { fittingContext, LEAST_CONTEXT, memoryNeed, usableMemory } from "./plan.ts";
import { type PlanTable, planTable } from "./plan-table.ts";
import type { InstalledModel, ListedModel, ModelError, ModelLibrary, Placement, PlacementWish, PullProgress } from "./port.ts";
import { pull } from "./pull.ts";
import {
  chunksPath,
  emptyRecord,
  formatRecord,
  MAX_RECORD,
  type ModelRecord,
  onHost,
  parseRecord,
  recordPath,
  withHost,
} from "./record.ts";
import { measureReadSpeed } from "./read-speed.ts";
import { shapeOfCatalogue, shapeOfFacts } from "./shape.ts";
import { partPath } from "./transfer.ts";
import { verify, type Verifiable, type VerifyReport } from "./verify.ts";

/** The library with what only `noctem models` does. */
export interface ModelShop extends ModelLibrary {
  importModel(
    path: string,
    options: ImportOptions,
    onProgress: (progress: PullProgress) => void,
    signal: AbortSignal,
  ): Promise<Result<InstalledModel, ModelError>>;
  /** Models of other programs on this computer. */
  finds(): Promise<readonly HostFind[]>;
  /** `null`: all models that are here. */
  verify(
    name: string | null,
    repair: boolean,
    onProgress: (progress: PullProgress) => void,
    signal: AbortSignal,
  ): Promise<Result<readonly VerifyReport[], ModelError>>;
  /** Paths that were removed. A linked model is only forgotten. */
  remove(name: string): Promise<Result<readonly string[], ModelError>>;
  plan(contexts: readonly number[], only: string | null): Promise<Result<PlanTable, ModelError>>;
  /** The model that the automatic choice would like to have on this computer, if it is not here. */
  recommended(): CatalogueModel | null;
}

export function createModelLibrary(deps: ShopDeps): ModelShop {
  return {
    place: (wish) => place(deps, wish),
    list: () => list(deps),
    pull: (name, onProgress, signal) => pullNamed(deps, name, onProgress, signal),
    importFile: (path, onProgress, signal) => importFile(path, { link: false, template: null }, deps, onProgress, signal),
    importModel: (path, options, onProgress, signal) => importFile(path, options, deps, onProgress, signal),
    recordThreads: (path, threads) => recordThreads(deps, path, threads),
    finds: () => hostFinds(deps),
    verify: (name, repair, onProgress, signal) => verifyNamed(deps, name, repair, onProgress, signal),
    remove: (name) => remove(deps, name),
    plan: (contexts, only) => plan(deps, contexts, only),
    recommended: () => recommended(deps.catalogue, deps.host()),
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
function recommended(catalogue: Catalogue, host: HostFacts): CatalogueModel | null {
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
async function matching(deps: LibraryDeps, host: HostFacts, wanted: string): Promise<Result<Found, ModelError>> {
  if (isAbsolute(wanted)) {
    // `models/../x` is not on the stick, whatever it begins with.
    const path = normalize(wanted);
    const found = await examine(path, { ...deps, fingerprint: host.fingerprint });
    return found === null ? err({ kind: "missing-file", path }) : ok(found);
  }
  const found = await inventory(deps, host);
  const entry = deps.catalogue.find(wanted);
  const typed = wanted.toLowerCase();
  const match =
    found.find(({ model }) => model.name.toLowerCase() === typed || (entry !== null && model.entry === entry)) ??
    found.find(({ model }) => [typed, `${typed}.gguf`].includes(basename(model.path).toLowerCase()));
  if (match) return ok(match);
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

async function findModel(deps: LibraryDeps, host: HostFacts, wanted: string): Promise<Result<Installed, ModelError>> {
  const found = await matching(deps, host, wanted);
  return found.ok ? usable(found.value) : found;
}

const usable = (found: Found): Result<Installed, ModelError> =>
  found.state === "ready" ? ok(found.model) : err({ kind: "broken-file", path: found.model.path, detail: found.model.detail });

const inventory = (deps: LibraryDeps, host: HostFacts): Promise<readonly Found[]> =>
  takeInventory(deps.layout.models, { ...deps, fingerprint: host.fingerprint });

async function ownTemplate(deps: LibraryDeps, model: Installed): Promise<string | null> {
  const name = model.record?.template ?? null;
  return name === null ? null : await deps.files.readText(join(deps.layout.models, name), MAX_TEMPLATE);
}

async function list(deps: ShopDeps): Promise<readonly ListedModel[]> {
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
  const finds = (await hostFinds(deps)).filter(
    (find) => !found.some(({ model }) => (find.entry !== null && model.entry === find.entry) || model.path === find.path),
  );
  return [...here, ...finds.map(listedFind), ...offered].sort(bySize);
}

const listedFind = (find: HostFind): ListedModel => ({
  name: find.name,
  state: "found-on-host",
  size: find.size,
  tier: find.entry?.tier ?? (find.size < 1.6e9 ? "quick" : "task"),
  verdict: `${find.origin} has it`,
  path: find.path,
});

const ORDER = { ready: 0, broken: 1, "found-on-host": 2, downloadable: 3 } as const;

function listedReady(model: Installed, host: HostFacts, available: number): ListedModel {
  const speed = measuredSpeed(model, host);
  const clauses = [
    fitClause(shapeOfFacts(model.facts), available),
    ...(speed === null ? [] : [`${speed.toFixed(speed < 10 ? 1 : 0)} tokens/s here`]),
    ...greetingClause(model),
    ...(model.linked ? ["lies on this computer"] : []),
  ];
  const hashes = model.record?.files.map((file) => file.sha256 ?? "") ?? [];
  const sha256 = hashes.length > 0 && hashes.every((hash) => hash !== "") ? { sha256: hashes.join(",") } : {};
  return {
    name: model.name,
    state: "ready",
    size: model.size,
    tier: tierOf(model),
    verdict: clauses.join(", "),
    path: model.path,
    ...sha256,
  };
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

async function pullNamed(
  deps: ShopDeps,
  name: string,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<InstalledModel, ModelError>> {
  const entry = deps.catalogue.find(name) ?? deps.catalogue.ofFile(name);
  if (entry === null) return err({ kind: "unknown-model", name, near: deps.catalogue.near(name) });
  const here = (await inventory(deps, deps.host())).find(({ model }) => model.entry === entry);
  if (here?.state === "ready") {
    const { model } = here;
    const sha256 = model.record?.files.map((file) => file.sha256 ?? "").join(",") ?? "";
    return ok({
      name: model.name,
      path: model.path,
      size: model.size,
      sha256,
      notes: ['It is here already; "noctem models verify" checks it.'],
    });
  }
  return await pull(entry, deps, onProgress, signal);
}

async function verifyNamed(
  deps: ShopDeps,
  name: string | null,
  repair: boolean,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<readonly VerifyReport[], ModelError>> {
  const wanted = await foundModels(deps, name);
  if (!wanted.ok) return wanted;
  const reports: VerifyReport[] = [];
  for (const found of wanted.value) {
    const report = await verify(await verifiable(found, deps), repair, deps, onProgress, signal);
    if (!report.ok) return report;
    reports.push(report.value);
  }
  return ok(reports);
}

/** A file with a broken header is verified all the same: its chunk list tells where it is broken. */
async function verifiable(found: Found, deps: ShopDeps): Promise<Verifiable> {
  if (found.state === "ready") return found.model;
  const { name, path, entry } = found.model;
  const files: { path: string; size: number }[] = [];
  for (const part of partPaths(path)) {
    const facts = await deps.files.stat(part);
    if (facts) files.push({ path: part, size: facts.size });
  }
  return { name, path, entry, files, record: parseRecord(await deps.files.readText(recordPath(path), MAX_RECORD)) };
}

/** All, or the one of this name; broken ones too. */
async function foundModels(deps: ShopDeps, name: string | null): Promise<Result<readonly Found[], ModelError>> {
  const host = deps.host();
  if (name === null) return ok(await inventory(deps, host));
  const found = await matching(deps, host, name);
  return found.ok ? ok([found.value]) : found;
}

async function remove(deps: ShopDeps, name: string): Promise<Result<readonly string[], ModelError>> {
  const wanted = await matching(deps, deps.host(), name);
  if (!wanted.ok) return wanted;
  const { model } = wanted.value;
  const own = model.path.startsWith(`${deps.layout.models}/`);
  const linked = wanted.value.state === "ready" && wanted.value.model.linked;
  if (!own && !linked) return err({ kind: "foreign", path: model.path });
  const first =
    linked && wanted.value.state === "ready" ? join(deps.layout.models, wanted.value.model.record?.files[0]?.name ?? "") : model.path;
  const paths = (linked ? [first] : partPaths(first)).flatMap((path) => [
    ...(linked ? [] : [path]),
    chunksPath(path),
    recordPath(path),
    `${path}.jinja`,
    partPath(path),
    `${partPath(path)}.json`,
  ]);
  const removed: string[] = [];
  for (const path of paths) {
    if ((await deps.files.stat(path)) === null) continue;
    if (!(await deps.files.remove(path)))
      return err(
        (await deps.files.room(path))?.readOnly ? { kind: "read-only", path } : { kind: "io", path, detail: "it cannot be removed" },
      );
    removed.push(path);
  }
  return ok(removed);
}

async function plan(deps: ShopDeps, contexts: readonly number[], only: string | null): Promise<Result<PlanTable, ModelError>> {
  const host = deps.host();
  const found = await inventory(deps, host);
  const measured = await stickSpeed(deps, host, found);
  let name: string | null = null;
  if (only !== null) {
    const entry = deps.catalogue.find(only);
    const here = await matching(deps, host, only);
    if (entry === null && !here.ok) return here;
    name = here.ok ? here.value.model.name : (entry?.name ?? null);
  }
  return ok(planTable(host, found, deps.catalogue, contexts, { only: name, readBytesPerSecond: measured }));
}

/** One stick, one speed: measured once on a computer, on the largest model there is. */
async function stickSpeed(deps: ShopDeps, host: HostFacts, found: readonly Found[]): Promise<number | null> {
  const models = found
    .flatMap((entry) => (entry.state === "ready" && !entry.model.linked ? [entry.model] : []))
    .toSorted((a, b) => b.size - a.size);
  const known = models.flatMap((model) => onHost(model.record, host.fingerprint)?.readBytesPerSecond ?? []);
  const [largest] = models;
  if (known[0] !== undefined || largest === undefined) return known[0] ?? null;
  const readBytesPerSecond = await measureReadSpeed(largest, deps);
  if (readBytesPerSecond !== null)
    await updateRecord(deps, host.fingerprint, largest.path, (record) => withHost(record, host.fingerprint, { readBytesPerSecond }));
  return readBytesPerSecond;
}
