import type { ListState } from "./overlays/list.ts";

/** What the person sees besides the conversation; the conversation itself is the session's view. */
export interface UiState {
  /** First visible row of the transcript, or null to follow its end. */
  readonly top: number | null;
  /** Rows there were when the person left the end. */
  readonly leftAt: number;
  readonly reasoning: boolean;
  readonly overlay: Overlay | null;
  /** Which suggestion of the command list is chosen. */
  readonly suggestion: number;
  readonly find: { readonly needle: string; readonly row: number } | null;
  /** Takes the status line until a key is pressed or it times out. */
  readonly hint: string | null;
  /** The message that the draft will replace. */
  readonly editing: string | null;
  /** Jobs that ended and were seen. */
  readonly seenJobs: readonly string[];
}

export type Overlay =
  | { readonly kind: "help"; readonly top: number }
  | { readonly kind: "tasks"; readonly top: number }
  | { readonly kind: "sessions"; readonly list: ListState }
  | { readonly kind: "models"; readonly list: ListState };

export const INITIAL_UI: UiState = {
  top: null,
  leftAt: 0,
  reasoning: false,
  overlay: null,
  suggestion: 0,
  find: null,
  hint: null,
  editing: null,
  seenJobs: [],
};
