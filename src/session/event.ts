import type { MessageId, SessionId } from "../lib/brand.ts";
import type { Message, ModelTier, ReplyFacts, StopReason } from "../lib/message.ts";
import type { EngineCage, EngineError } from "../engine/port.ts";
import type { HeartError } from "../heart/port.ts";
import type { ModelError } from "../models/port.ts";
import type { ShownApproval } from "./approvals.ts";

/** A conversation in the list of the switcher. */
export interface SessionSummary {
  readonly id: SessionId;
  /** First words of the first user message, or empty. */
  readonly title: string;
  /** Milliseconds since the epoch of the newest message. */
  readonly at: number;
  readonly messages: number;
  readonly ephemeral: boolean;
}

/** A model as a person picks it. */
export interface ModelSummary {
  readonly name: string;
  readonly state: "ready" | "downloadable" | "found-on-host" | "broken";
  /** Bytes of the weights. */
  readonly size: number;
  readonly tier: ModelTier;
  /** "fits", "too big: …", "needs a GPU…": one sentence for a person. */
  readonly verdict: string;
  readonly path: string | null;
}

/** A message on the shown path, with its place among its siblings (takes). */
export interface ShownMessage {
  readonly message: Message;
  /** 1-based place among siblings, oldest first, and how many there are. */
  readonly take: number;
  readonly takes: number;
  /** All siblings' ids, oldest first. */
  readonly siblings: readonly MessageId[];
}

export type TurnFailure =
  | { readonly kind: "engine"; readonly error: EngineError }
  /** No model is installed or chosen. `hint` is a sentence that says how to get one. */
  | { readonly kind: "no-model"; readonly hint: string }
  /** The model that was asked for cannot be used. */
  | { readonly kind: "model"; readonly error: ModelError }
  /** A message could not be stored. When it was the answer, `turn-failed` still shows it, unstored. */
  | { readonly kind: "store"; readonly error: HeartError };

export type ModelState =
  /** Nothing usable; `hint` says how to get a model. */
  | { readonly kind: "none"; readonly hint: string }
  /** Known and chosen, not loaded yet. */
  | { readonly kind: "idle"; readonly name: string }
  | {
      readonly kind: "loading";
      readonly name: string;
      readonly phase: string;
      readonly fraction: number | null;
      readonly bytesPerSecond: number | null;
      readonly secondsLeft: number | null;
    }
  | {
      readonly kind: "ready";
      readonly name: string;
      readonly contextSize: number;
      readonly gpuLayers: number;
      readonly layers: number;
      readonly gpuReason: string;
      readonly threads: { readonly prompt: number; readonly generate: number };
      /** Measured on this host, tokens per second; 0 while unknown. */
      readonly expectedTokensPerSecond: number;
      /** False for a base model without a chat template. */
      readonly chat: boolean;
      /** How the engine is held; null where it is no process of its own. */
      readonly cage: EngineCage | null;
    }
  | { readonly kind: "failed"; readonly name: string; readonly error: EngineError };

/** A background job: a row of the task pane and of the status line. */
export interface Job {
  readonly id: string;
  readonly label: string;
  /** 0–1, or null while unknown. */
  readonly fraction: number | null;
  readonly detail: string;
  readonly state: "running" | "done" | "failed" | "cancelled";
}

/** Where messages go, and why not to the stick if so. `memory` without a warning was asked for: a private session. */
export interface StoreState {
  readonly kind: "stored" | "memory";
  /** A sentence for a person when `memory` was not asked for; else null. */
  readonly warning: string | null;
  /** Nothing was ever said here: whoever sits before it has not been told how things are kept. */
  readonly first?: true;
}

export type SessionEvent =
  | {
      readonly type: "session-opened";
      /** Null for a new session: it gets its id with its first message, so that a sitting without one leaves no trace. */
      readonly session: SessionSummary | null;
      readonly path: readonly ShownMessage[];
      readonly store: StoreState;
    }
  /** The open session got its first message and with it an id, or another title. */
  | { readonly type: "session-named"; readonly session: SessionSummary }
  | { readonly type: "message-appended"; readonly shown: ShownMessage }
  /** The shown path changed otherwise (branch, edit, another process wrote). */
  | { readonly type: "path-changed"; readonly path: readonly ShownMessage[] }
  /** The prompt was accepted but waits: no model is ready yet. */
  | { readonly type: "prompt-queued"; readonly text: string }
  | { readonly type: "turn-started"; readonly turn: number; readonly tier: ModelTier; readonly model: string; readonly reason: string }
  /** Prompt evaluation finished. */
  | { readonly type: "turn-prompt"; readonly turn: number; readonly tokens: number; readonly cached: number }
  | { readonly type: "turn-text"; readonly turn: number; readonly text: string; readonly tokens: number }
  | { readonly type: "turn-reasoning"; readonly turn: number; readonly text: string; readonly tokens: number }
  /** The oldest messages were left out to fit the context. */
  | { readonly type: "turn-trimmed"; readonly turn: number; readonly dropped: number; readonly contextSize: number }
  /** `shown` is null when nothing was generated. */
  | {
      readonly type: "turn-ended";
      readonly turn: number;
      readonly stop: StopReason;
      readonly reply: ReplyFacts;
      readonly shown: ShownMessage | null;
      readonly contextUsed: number;
    }
  | { readonly type: "turn-failed"; readonly turn: number; readonly failure: TurnFailure; readonly shown: ShownMessage | null }
  | { readonly type: "model"; readonly tier: ModelTier; readonly state: ModelState }
  | { readonly type: "engine-restarted"; readonly cause: EngineError }
  | { readonly type: "sessions-listed"; readonly sessions: readonly SessionSummary[] }
  | { readonly type: "models-listed"; readonly models: readonly ModelSummary[] }
  | { readonly type: "job"; readonly job: Job }
  /** Questions that wait changed, or a second passed while there are some. */
  | { readonly type: "approvals"; readonly approvals: readonly ShownApproval[] }
  /** `gone`: the stick was pulled. Edges hide what they show until the same heart is back. */
  | { readonly type: "stick"; readonly state: "present" | "gone" }
  | { readonly type: "stats"; readonly hostBytes: number; readonly engineBytes: number; readonly gpuBytes: number }
  /** Something a person should read; headless prints it on stderr. */
  | { readonly type: "notice"; readonly severity: "info" | "warning" | "error"; readonly text: string };
