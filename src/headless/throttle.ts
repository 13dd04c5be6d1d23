import type { ModelState } from "../session/event.ts";
import type { Timers } from "./ports.ts";

/**
 * Thins out the progress of a load: a new phase at once, the rest every `ms`. A model that serves both tiers reports for
 * each of them, hundreds of times a load.
 */
export class LoadThrottle {
  readonly #timers: Timers;
  readonly #ms: number;
  #said = "";
  #at = Number.NEGATIVE_INFINITY;

  constructor(timers: Timers, ms: number) {
    this.#timers = timers;
    this.#ms = ms;
  }

  /** Whether this state is worth telling. */
  passes(state: ModelState): boolean {
    if (state.kind !== "loading" && state.kind !== "ready") return false;
    const key = `${state.kind} ${state.name} ${state.kind === "loading" ? state.phase : ""}`;
    const now = this.#timers.monotonic();
    if (key === this.#said && (state.kind === "ready" || now - this.#at < this.#ms)) return false;
    this.#said = key;
    this.#at = now;
    return true;
  }
}
