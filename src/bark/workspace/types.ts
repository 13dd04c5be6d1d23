import type { Outcome } from "../types.ts";

/** What a call did, or wants to do, to a workspace. Paths are relative to it, with `/`, and never lead out of it. */
export type Change = ChangeKind & {
  /** The folder that `path` is in where it is not the workspace: the repository that the workspace belongs to. */
  readonly root?: string;
};

/** As a person reads it. */
export const shownPath = ({ root, path }: { readonly root?: string | undefined; readonly path: string }): string =>
  root === undefined ? path : `${root}/${path}`;

type ChangeKind =
  | { readonly kind: "write"; readonly path: string; readonly content: Content; readonly executable: boolean; readonly before: Before }
  | { readonly kind: "folder"; readonly path: string; readonly before: Before }
  /** A relative link whose target stays inside. */
  | { readonly kind: "link"; readonly path: string; readonly target: string; readonly before: Before }
  | { readonly kind: "delete"; readonly path: string; readonly before: Before }
  /** What can only be refused: a device, a socket, a pipe, a link that leaves, a setuid file, a name that is no UTF-8. */
  | { readonly kind: "foreign"; readonly path: string; readonly what: string; readonly before: Before };

/** Where the new bytes lie, and what they must be when they are taken: SHA-256 in hex. */
export interface Content {
  readonly file: string;
  /** Where in the file they begin; 0 without. */
  readonly at?: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** What stood at the path when the call began; what stands there when it is applied must be the same, or it is a conflict. */
export type Before =
  | { readonly kind: "nothing" }
  | { readonly kind: "file"; readonly bytes: number; readonly sha256: string; readonly executable: boolean }
  | { readonly kind: "folder" }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "other" };

/** The judgement of one change by the workspace's rules. `leave-out`: not applied, listed, and no reason to stop the rest. */
export interface JudgedChange {
  readonly change: Change;
  readonly outcome: Outcome | "leave-out";
  readonly rule: string;
  readonly reason: string;
  /** An escape or a changed hook: a parent should know. */
  readonly incident: boolean;
}
