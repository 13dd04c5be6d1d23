import type { SessionId } from "../lib/brand.ts";
import type { Origin } from "../lib/message.ts";
import type { Clock, Random } from "../lib/ports.ts";
import type { Result } from "../lib/result.ts";
import type { EngineError, LoadedModel, ModelEngine, ThreadPlan } from "../engine/port.ts";
import type { Heart, HeartError } from "../heart/port.ts";
import type { ModelError, ModelLibrary, PlacementWish } from "../models/port.ts";
import type { ApprovalSource } from "./approvals.ts";
import type { GenerationOptions } from "./options.ts";

/** What a session works with. It owns none of it: the composition root opens and closes. */
export interface SessionDeps {
  readonly heart: Heart;
  /** A heart in memory alone, for private sessions. */
  readonly memoryHeart: () => Heart;
  /** Opens the heart again after the stick was gone; fails while it is not back. */
  readonly reopenHeart: () => Result<Heart, HeartError>;
  /** False while the medium of the heart is gone. Cheap: asked every second. */
  readonly stickPresent: () => boolean;
  readonly engine: ModelEngine;
  readonly library: ModelLibrary;
  readonly clock: Clock;
  readonly random: Random;
  /** Calls `tick` every `ms` until the returned function is called; must not keep the process alive. */
  readonly every: (ms: number, tick: () => void) => () => void;
  /** Writes a file of the person's workspace; the error is a sentence. Never overwrites. */
  readonly writeNewFile: (path: string, text: string) => Result<string, string>;
  /** Questions that wait in the heart; none where nobody could answer them here. */
  readonly approvals?: ApprovalSource;
  /** What typed words speak with: less while there is a parent who has not opened the door. */
  readonly typedIntegrity?: () => 2 | 3;
  /** Resident bytes of this process. */
  readonly hostBytes: () => number;
  /** Sentences for errors that reach a person as a notice or a job's detail. */
  readonly describe: {
    readonly heart: (error: HeartError) => string;
    readonly engine: (error: EngineError) => string;
    readonly model: (error: ModelError) => string;
  };
}

export interface SessionConfig {
  readonly origin: Origin;
  readonly generation: GenerationOptions;
  readonly wish: PlacementWish;
  /** Overrides what is measured; `null` measures and remembers. */
  readonly threads: ThreadPlan | null;
  readonly start: { readonly kind: "new"; readonly ephemeral: boolean } | { readonly kind: "resume"; readonly session: SessionId };
  /**
   * A person sits before it: the model loads at once, prompts wait for a model, other processes' writes show, memory is
   * reported. Without it nothing is loaded before it is needed and a missing model fails the turn.
   */
  readonly interactive: boolean;
}

/** Sent unless the person sets another. Short: it is part of every prompt. */
const BUILT_IN_SYSTEM = "You are Noctem, a helpful assistant that runs on this computer alone.";

/**
 * Below this size a model answers worse under any system prompt but the one it was trained on: SmolLM2-135M names the capital
 * of France without one and rambles in French with this one. Its template supplies its own when none is sent.
 */
const SYSTEM_FROM_BYTES = 300e6;

/** The system prompt for a model; empty sends none. A base model would only continue it. */
export function systemPrompt(asked: string | null, model: Pick<LoadedModel, "template" | "fileBytes">): string {
  if (asked !== null) return asked;
  return model.template.source === "none" || model.fileBytes < SYSTEM_FROM_BYTES ? "" : BUILT_IN_SYSTEM;
}
