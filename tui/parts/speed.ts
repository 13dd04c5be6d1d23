import type { SessionEvent } from "../../src/session/event.ts";
import type { ViewState } from "../../src/session/view.ts";

/** Before this one slow token would be the speed. */
const SETTLES_AFTER_MS = 500;

/** Tokens a second of the answer that is being written, its first token left out; else what was measured of the last. */
export class Speed {
  #turn = -1;
  #since = 0;
  #tokens = 0;

  hear(event: SessionEvent, now: number): void {
    if (event.type !== "turn-text" && event.type !== "turn-reasoning") return;
    if (this.#turn === event.turn) this.#tokens += event.tokens;
    else {
      this.#turn = event.turn;
      this.#since = now;
      this.#tokens = 0;
    }
  }

  tokensPerSecond({ live, lastReply }: ViewState, now: number): number | null {
    if (!live) return lastReply?.timings.tokensPerSecond ?? null;
    const ms = now - this.#since;
    return this.#turn === live.turn && ms > SETTLES_AFTER_MS ? (this.#tokens / ms) * 1000 : null;
  }
}
