import type { CageLevel } from "../../lib/cage-level.ts";
import type { Result } from "../../lib/result.ts";
import type { DbusRule } from "./dbus.ts";
import type { NetworkReport, Reach } from "../proxy/types.ts";
import type { BarkTier, Permit } from "../types.ts";

export type { CageLevel };

/**
 * What a cage is, as plain data. A plan is made by pure code (plan.ts), shown by `noctem bark explain`, covered by the digest of a permit,
 * and turned into the arguments of bubblewrap (argv.ts) by the one runner.
 */

/** Paths are absolute; `from` on the host, resolved and free of links, `to` inside. */
export type Mount =
  | { readonly kind: "read-only"; readonly from: string; readonly to: string }
  /** Writable: a copy-on-write view or a folder made for this call, never the workspace itself. */
  | { readonly kind: "read-write"; readonly from: string; readonly to: string }
  /** A device node of the host, such as a GPU's. */
  | { readonly kind: "device"; readonly from: string; readonly to: string }
  | { readonly kind: "tmpfs"; readonly to: string; readonly bytes: number }
  | { readonly kind: "folder"; readonly to: string }
  | Mask
  | { readonly kind: "link"; readonly target: string; readonly to: string };

/** Covers what the workspace has at this place: an empty folder over a folder, nothing over a file. */
export interface Mask extends Hidden {
  readonly kind: "mask";
  readonly to: string;
}
export interface Hidden {
  readonly folder: boolean;
  /** Of a path that is no UTF-8: its bytes in hex. What is shown of it names nothing. */
  readonly raw?: string;
}

/** `Infinity` is no limit; plans of skills have none of those. */
export interface Limits {
  readonly wallMs: number;
  readonly cpuSeconds: number;
  /** Of all processes together where that can be counted, and of each. */
  readonly memoryBytes: number;
  readonly processes: number;
  /** Of standard output and error together; what comes after it is dropped, and the run ends. */
  readonly outputBytes: number;
  readonly openFiles: number;
  /** The largest single file, and what all writes of a run may come to. */
  readonly fileBytes: number;
  readonly diskBytes: number;
}

export type CageNetwork =
  | { readonly kind: "none" }
  /** 127.0.0.1:port inside leads to a proxy of this run's own on the host, which opens what `reach` names and nothing else. */
  | { readonly kind: "proxy"; readonly port: number; readonly reach: Reach };

export interface WorkspaceView {
  /** On the host: resolved, free of links. */
  readonly host: string;
  /** Inside: the same path, so that what a tool prints means something outside. */
  readonly inside: string;
  readonly mode: "read" | "copy-on-write";
  /** The repository that the workspace belongs to, where it lies elsewhere: part of the same view. */
  readonly git?: JoinedGit;
}

/** What a `.git` file of the workspace leads to, looked up and checked by the host: a program could write any path there. */
export interface JoinedGit {
  /** Of a linked worktree the folder that all its worktrees share, of a submodule its own. Resolved, free of links, outside of the workspace. */
  readonly host: string;
  /** What in it is this worktree's alone, as a path in it: `worktrees/NAME`; "" where all of it is. */
  readonly own: string;
}

/** One folder of a copy-on-write view once the program has ended, as paths that the host can read. */
export interface FolderView {
  /** What was written, whole files; a deletion is a device without a number. In a copy: everything. */
  readonly upper: string;
  /** As the program saw it. Folders that were emptied and filled again are told by it alone. */
  readonly merged: string;
  readonly lower: string;
  /** When the program began, by the file system's clock, in milliseconds: what was changed on the host later was changed by others. */
  readonly since: number;
}

/** `Note`: what a copy was made of; the platform's own. */
export interface RunView<Note = unknown> extends FolderView {
  readonly kind: ViewKind;
  /** Null where the view is no copy. */
  readonly copied: Note | null;
  readonly git: (FolderView & JoinedGit & { readonly copied: Note | null }) | null;
}
/** Recorded with every run that may write: a copy is slower and bounded. */
export type ViewKind = "overlay" | "copy";

export interface CagePlan {
  /** Of profiles/bark. */
  readonly profile: string;
  readonly tier: BarkTier;
  /** The program as an absolute path inside, then its arguments. */
  readonly argv: readonly string[];
  readonly cwd: string;
  /** The whole environment; nothing of the host's is passed on. With a network the run's own proxy variables (proxy/types.ts) join it. */
  readonly env: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  readonly workspace: WorkspaceView | null;
  /** Files of the workspace as they were when somebody said yes: with other bytes the program is not started. Paths relative to it, SHA-256 in hex. */
  readonly inputs?: readonly { readonly path: string; readonly sha256: string }[];
  /** `deny` for every cage, `allow` stacked on it for commands and code. */
  readonly seccomp: "deny" | "deny+allow";
  readonly network: CageNetwork;
  /** Services of the person's session bus; without it there is no bus. */
  readonly dbus?: readonly DbusRule[];
  readonly limits: Limits;
  /** The least that this plan may run under. */
  readonly floor: CageLevel;
}

/** The cage of one of Noctem's own children (children.ts). No skill asked for it, so no tier, no permit and no workspace. */
export interface ChildPlan extends Omit<CagePlan, "profile" | "tier" | "floor" | "dbus"> {
  readonly profile: "engine" | "trainer";
}

/** Why a run was ended from outside. */
export type Stopped = "time" | "memory" | "processes" | "output" | "disk" | "cancelled";

export interface CageOutcome {
  readonly level: CageLevel;
  /** Of the program; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stopped: Stopped | null;
  /** Null where the program could write nothing. */
  readonly view: ViewKind | null;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly wallMs: number;
  /** What it asked of the network; null when it had none. */
  readonly network: NetworkReport | null;
}

export type CageError =
  /** The permit is not one for this plan, or no longer. */
  | { readonly kind: "no-permit"; readonly fault: string }
  /** This host cannot hold a process as the plan wants it. `fix`: a command or setting, as a sentence. */
  | { readonly kind: "no-cage"; readonly level: CageLevel; readonly floor: CageLevel; readonly detail: string; readonly fix: string }
  /** The cage was refused before anything ran: a link where a folder was, a source that vanished. */
  | { readonly kind: "refused"; readonly detail: string }
  /** The cage itself broke. */
  | { readonly kind: "failed"; readonly detail: string };

export interface CageInput {
  readonly stdin: Uint8Array | null;
  readonly signal: AbortSignal;
  /** Output as it comes, within `outputBytes`. */
  readonly onOutput?: (stream: "stdout" | "stderr", bytes: Uint8Array) => void;
  /**
   * Called once the program has ended, while its copy-on-write view still stands.
   */
  readonly onView?: (view: RunView) => Promise<void>;
}

/** The one way for a skill's process to exist. Spends the permit on exactly this plan and input (describe.ts). */
export interface Cage {
  run(permit: Permit, plan: CagePlan, input: CageInput): Promise<Result<CageOutcome, CageError>>;
}
