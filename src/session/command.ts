import type { MessageId, SessionId } from "../lib/brand.ts";
import type { Span } from "../lib/message.ts";
import type { ApprovalAnswer } from "./approvals.ts";

/**
 * All that an edge (TUI, headless, Signal) can ask of a session. Dispatching never throws and never blocks: what comes of
 * it arrives as `SessionEvent`s.
 */
export type SessionCommand =
  /** Appends a user message below the shown path and answers it. Waits while no model is ready. */
  | { readonly type: "prompt"; readonly spans: readonly Span[] }
  /** Another take on the last answer, with a fresh seed; the old one stays as a sibling. */
  | { readonly type: "retry" }
  /** A sibling of the user message `message` with other words, then an answer to it. */
  | { readonly type: "edit"; readonly message: MessageId; readonly spans: readonly Span[] }
  /** Shows the path through `message` (a sibling's branch, or an earlier point to go on from). */
  | { readonly type: "branch"; readonly message: MessageId }
  /** Stops the running answer; what was generated is kept, with the stop reason `cancelled` or `timeout`. */
  | { readonly type: "cancel"; readonly because?: "timeout" }
  | { readonly type: "open-session"; readonly session: SessionId }
  /** `ephemeral` sessions live in memory alone and leave nothing on the stick. */
  | { readonly type: "new-session"; readonly ephemeral: boolean }
  | { readonly type: "list-sessions" }
  | { readonly type: "delete-session"; readonly session: SessionId }
  | { readonly type: "list-models" }
  /** Uses this model for both tiers from the next turn on; `null` returns to the automatic choice. */
  | { readonly type: "use-model"; readonly name: string | null }
  | { readonly type: "pull-model"; readonly name: string }
  | { readonly type: "import-model"; readonly path: string }
  /** Stops a background job (a download, say) by its id. */
  | { readonly type: "cancel-job"; readonly job: string }
  /** A person's answer to a question that waits, to exactly what was shown. */
  | ({ readonly type: "answer-approval" } & ApprovalAnswer)
  | { readonly type: "rehearse-approval"; readonly id: string }
  /** Writes the shown session as Markdown to a file of the workspace. */
  | { readonly type: "export"; readonly path: string };
