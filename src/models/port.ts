import type { ModelTier } from "../lib/message.ts";
import type { Result } from "../lib/result.ts";
import type { ThreadPlan } from "../engine/port.ts";

/** What session and agent know of the models on the stick. `library.ts` implements it. */
export interface ModelLibrary {
  /** The choice for this host, from installed models only. Reads files, changes nothing. */
  place(wish: PlacementWish): Promise<Result<Placement, ModelError>>;
  /** Installed, downloadable and found-on-host models, best first. */
  list(): Promise<readonly ListedModel[]>;
  /** Downloads, verifies and installs a catalogue model; resumes what an earlier call left. */
  pull(name: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<Result<InstalledModel, ModelError>>;
  /** Installs a GGUF file that is on this host already, by copying it. */
  importFile(path: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<Result<InstalledModel, ModelError>>;
  /** Keeps what was measured for this host beside the model. A read-only stick makes this a no-op. */
  recordThreads(path: string, threads: ThreadPlan): Promise<void>;
}

export interface PlacementWish {
  /** A model's name or path that serves both tiers; `null` chooses by the memory plan. */
  readonly model: string | null;
  /** Tokens; `null` takes what fits, up to a sensible default. */
  readonly contextSize: number | null;
  readonly gpu: "auto" | "off";
}

export interface Placement {
  /** Both name the same model when one serves both tiers; both are null when nothing is installed. */
  readonly quick: PlannedModel | null;
  readonly task: PlannedModel | null;
  /** One sentence: why these. */
  readonly reason: string;
  /** When nothing is installed: how to get a model. Else empty. */
  readonly hint: string;
}

export interface PlannedModel {
  readonly name: string;
  /** Absolute path of the first GGUF file. */
  readonly path: string;
  readonly fileBytes: number;
  readonly contextSize: number;
  readonly gpu: "auto" | "off";
  /** Known for this host from an earlier run; `null` has the engine measure. */
  readonly threads: ThreadPlan | null;
  /** Jinja source that overrides the file's own, or `null`. */
  readonly template: string | null;
}

export interface InstalledModel {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the whole file, lower-case hex; of each part of a split model, in order, with commas between. Empty while nobody has hashed it. */
  readonly sha256: string;
  /** Sentences a person should read: "first download, pinned its checksum", "has no chat template"… */
  readonly notes: readonly string[];
}

export interface ListedModel {
  readonly name: string;
  readonly state: "ready" | "downloadable" | "found-on-host" | "broken";
  readonly size: number;
  readonly tier: ModelTier;
  readonly verdict: string;
  readonly path: string | null;
  /** As for an installed model; absent while nobody has hashed the file. */
  readonly sha256?: string;
}

export interface PullProgress {
  readonly phase: "connect" | "download" | "copy" | "verify" | "check";
  readonly bytes: number;
  /** 0 while unknown. */
  readonly total: number;
  readonly bytesPerSecond: number;
  /** Null while unknown. */
  readonly secondsLeft: number | null;
  readonly source: string;
}

export type ModelError =
  /** Neither installed nor in the catalogue. `near` holds names like it. */
  | { readonly kind: "unknown-model"; readonly name: string; readonly near: readonly string[] }
  /** In the catalogue, not on the stick. */
  | { readonly kind: "not-installed"; readonly name: string }
  | { readonly kind: "missing-file"; readonly path: string }
  /** Not a GGUF, truncated, or with a broken template. */
  | { readonly kind: "broken-file"; readonly path: string; readonly detail: string }
  /** Every source failed; one line each. */
  | { readonly kind: "download-failed"; readonly name: string; readonly attempts: readonly string[] }
  | { readonly kind: "checksum"; readonly name: string; readonly expected: string; readonly found: string }
  | { readonly kind: "no-room"; readonly path: string; readonly needed: number; readonly free: number }
  /** The file system of the stick cannot hold a file this long. */
  | { readonly kind: "file-too-large"; readonly path: string; readonly size: number; readonly limit: number; readonly filesystem: string }
  | { readonly kind: "read-only"; readonly path: string }
  /** Another model has this file name already; nothing is ever replaced by an import. */
  | { readonly kind: "occupied"; readonly path: string }
  /** It lies outside the stick: not ours to remove. */
  | { readonly kind: "foreign"; readonly path: string }
  | { readonly kind: "does-not-fit"; readonly name: string; readonly needed: number; readonly available: number }
  | { readonly kind: "cancelled" }
  | { readonly kind: "io"; readonly path: string; readonly detail: string };
