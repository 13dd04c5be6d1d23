import type { ListState } from "./overlays/list.ts";
import type { Anchor, Extent } from "./panes/scroll.ts";

/** What the person sees besides the conversation; the conversation itself is the session's view. */
export interface UiState {
  /** First visible place of the transcript, or null to follow its end. */
  readonly top: Anchor | null;
  /** How long it was when the person left the end. */
  readonly leftAt: Extent;
  readonly reasoning: boolean;
  readonly overlay: Overlay | null;
  /** Which suggestion of the command list is chosen. */
  readonly suggestion: number;
  /** The draft came out of history by the arrows, and has not been touched since. */
  readonly recalling: boolean;
  readonly find: Find | null;
  /** Takes the status line until a key is pressed or it times out. */
  readonly hint: string | null;
  /** The message that the draft will replace. */
  readonly editing: string | null;
  /** Jobs that ended and were seen. */
  readonly seenJobs: readonly string[];
}

/** A search that is shown: which of how many matches, oldest first. */
export interface Find {
  readonly needle: string;
  readonly at: Anchor;
  readonly number: number;
  readonly of: number;
}

export type Overlay =
  | { readonly kind: "help"; readonly top: number }
  | { readonly kind: "tasks"; readonly top: number }
  | { readonly kind: "sessions"; readonly list: ListState }
  | { readonly kind: "models"; readonly list: ListState };

export const INITIAL_UI: UiState = {
  top: null,
  leftAt: { segments: 0, tail: 0 },
  reasoning: false,
  overlay: null,
  suggestion: 0,
  recalling: false,
  find: null,
  hint: null,
  editing: null,
  seenJobs: [],
};
