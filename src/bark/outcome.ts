import type { CageLevel, CageOutcome } from "./cage/types.ts";
import type { JudgedChange } from "./workspace/types.ts";

// How calls end, as plain data: what the executor, the monitor and whoever tells a person speak of.

/** What could not be done and why, for the person and for `noctem bark blocked`. */
export interface Blocked {
  /** The file, host or call. */
  readonly what: string;
  readonly rule: string;
  readonly reason: string;
  /** What would allow it, or what can be done instead; null when nothing would. */
  readonly instead: string | null;
}

export type CallStatus =
  | "done"
  /** It ran and ended badly, or was stopped. */
  | "failed"
  /** By the monitor or by the person. */
  | "denied"
  /** It needed an answer, and none came. */
  | "unanswered"
  /** This host cannot hold it. */
  | "no-cage";

/** What came of an effect. */
export interface Executed {
  readonly status: CallStatus;
  readonly text: string;
  readonly blocked: readonly Blocked[];
  readonly incidents: readonly { readonly rule: string; readonly reason: string }[];
  readonly cage: CageOutcome | null;
  /** How the process was held, or what this host has where that was too little; null where none was to run. */
  readonly level: CageLevel | null;
  /** What became of the workspace; null when nothing was to. */
  readonly workspace: WorkspaceReport | null;
}

export interface WorkspaceReport {
  readonly applied: readonly string[];
  readonly leftOut: readonly JudgedChange[];
  /** Wait for a person, with all their bytes kept under the name `waiting`. */
  readonly pending: readonly JudgedChange[];
  readonly waiting: string | null;
  readonly refused: readonly JudgedChange[];
  /** Changed on the host meanwhile and are not kept: untouched. */
  readonly conflicts: readonly string[];
  /** For `noctem bark undo`; null when nothing was written. */
  readonly undo: string | null;
}

/** What a program did where nothing of it was kept, for a person who is about to answer. Bounded: an answer is about the call, not about this. */
export interface Rehearsal {
  readonly status: CallStatus;
  /** As of a run; null where nothing ran. */
  readonly cage: CageLevel | null;
  readonly lines: readonly string[];
}
