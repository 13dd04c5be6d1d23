import type { SessionCommand } from "./command.ts";
import type { SessionEvent } from "./event.ts";
import type { ViewState } from "./view.ts";

/** The one thing that edges hold. The TUI's tests drive a scripted one. */
export interface SessionPort extends AsyncDisposable {
  dispatch(command: SessionCommand): void;
  /** Called for each event, in order, after `view()` already includes it. Returns the unsubscribe. */
  subscribe(listener: (event: SessionEvent) => void): () => void;
  view(): ViewState;
  /** Resolves when no turn runs and none waits that could run. */
  settled(): Promise<void>;
}
