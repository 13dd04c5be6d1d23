import type { Result } from "../lib/result.ts";
import type { SkillRefusal } from "../bark/call.ts";
import type { Hidden, JoinedGit } from "../bark/cage/types.ts";
import type { Before } from "../bark/workspace/types.ts";

/** What a name in the workspace is. */
export interface Looked {
  readonly kind: "file" | "folder" | "link" | "nothing" | "other";
  readonly bytes: number;
}

/** Absolute; `raw` where it is no UTF-8. */
export interface Secret extends Hidden {
  readonly path: string;
}

/** A match of a search. */
export interface SearchHit {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/**
 * Reading in the workspace, beneath it and through no link, whoever moves what meanwhile. Paths are relative, with `/`, as `placeIn` gives them.
 */
export interface WorkspaceReader {
  look(path: string): Looked;
  /** A text of at most `limit` bytes. */
  readText(path: string, limit: number): Result<string, SkillRefusal>;
  /** What stands there, with its hash. */
  before(path: string): Before;
  /** Names in a folder, sorted; folders end in "/". At most `limit`. */
  list(path: string, limit: number): Result<{ readonly names: readonly string[]; readonly more: boolean }, SkillRefusal>;
  /** Lines that contain `text`, in files that are text. Bounded in files, bytes and hits. */
  search(path: string, text: string, limit: number): Result<{ readonly hits: readonly SearchHit[]; readonly more: boolean }, SkillRefusal>;
  /** New bytes in a place of their own, for a change that is judged and applied later. */
  stage(bytes: Uint8Array): { readonly file: string; readonly bytes: number; readonly sha256: string };
  /** Names in the workspace that a rule keeps from being read, found by a bounded walk; null where there is too much to look at. */
  secrets(isSecret: (path: string) => boolean): readonly Secret[] | null;
  /** The repository that the workspace belongs to where it lies elsewhere, or a sentence why it is not taken; and the filters that its settings name. */
  git(): { readonly joined: JoinedGit | null; readonly refused: string | null; readonly filters: readonly string[] };
  /** Whether a file is another name (a hard link) of one that `secrets` finds, or of one of Noctem's own. Costs the walk only for a file that has several names. */
  isAlias(path: string, isSecret: (path: string) => boolean): boolean;
  /** Every file, folder or link of this name, relative to the workspace, by the same walk. */
  named(name: string): readonly string[] | null;
}

/** Programs of the host, looked for in its own folders and never in a workspace. */
export interface Programs {
  find(name: string): string | null;
}
