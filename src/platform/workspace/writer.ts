/** The executor's hand in a workspace: differences are found, judged, applied by the journal, and what may not pass is kept aside or left out. */
import { basename, dirname } from "node:path";
import type { FolderView, RunView } from "../../bark/cage/types.ts";
import type { WorkspaceWriter } from "../../bark/execute.ts";
import type { PendingStore } from "../../bark/pending.ts";
import { diffOfAll, type DiffTexts } from "../../bark/workspace/diff.ts";
import { judgeJoined } from "../../bark/workspace/git.ts";
import { type ChangeBounds, judgeChanges } from "../../bark/workspace/judge.ts";
import type { Change, JudgedChange } from "../../bark/workspace/types.ts";
import type { WorkspaceSteps } from "./apply.ts";
import { beneath, Folder } from "./beneath.ts";
import { CopiedFolder } from "./copy.ts";
import { beforeOf, changesOf, type Found } from "./view.ts";
import type { WorkspaceReport } from "../../bark/outcome.ts";

/** Bytes of a file whose content decides about it, or is shown. */
const MOST_TEXT = 64 << 10;

export interface WriterPorts {
  readonly steps: WorkspaceSteps;
  readonly bounds: ChangeBounds;
  /** Null where nothing can wait: what the rules ask about is then refused. */
  readonly pending: PendingStore | null;
}

export function workspaceWriter({ steps, bounds, pending }: WriterPorts): WorkspaceWriter {
  const judge = (view: RunView): { readonly judged: readonly JudgedChange[]; readonly truncated: boolean } => {
    const { changes, meanwhile, truncated } = found(view, view.copied);
    const judged = judgeChanges(changes, { bounds, textOf }).map((one) =>
      meanwhile.has(one.change) && one.outcome === "allow" ? { ...one, ...CONFLICT } : one,
    );
    if (view.git === null) return { judged, truncated };
    const joined = found(view.git, view.git.copied);
    // What others did there meanwhile is theirs: git's own files cannot be merged by hand.
    const theirs = (change: Change): boolean => joined.meanwhile.has(change);
    const root = view.git.lower;
    const ofGit = judgeJoined(joined.changes, view.git, textOf).map((one): JudgedChange => {
      const change = { ...one.change, root };
      return one.outcome === "allow" && theirs(one.change) ? { ...one, ...CONFLICT, outcome: "deny", change } : { ...one, change };
    });
    return { judged: [...judged, ...ofGit], truncated: truncated || joined.truncated };
  };

  const apply = async (
    workspace: string,
    judged: readonly JudgedChange[],
    label: string,
    late: PendingStore | null,
  ): Promise<WorkspaceReport> => {
    const by = (outcome: JudgedChange["outcome"]): readonly JudgedChange[] => judged.filter((one) => one.outcome === outcome);
    const allowed = by("allow");
    const rest = { leftOut: by("leave-out"), pending: by("ask"), refused: by("deny"), waiting: null };
    const applied = await steps.apply(
      workspace,
      allowed.map(({ change }) => change),
      label,
    );
    if (!applied.ok) {
      const failed = allowed.map((one) => refused(one, applied.error.kind, `Nothing was written: ${applied.error.detail}`));
      return keep(workspace, { applied: [], conflicts: [], undo: null, ...rest, refused: [...rest.refused, ...failed] }, late);
    }
    const { step, applied: paths, conflicts } = applied.value;
    const report = { applied: paths, conflicts, undo: step, ...rest };
    if (late === null) return report;
    // Somebody was faster: they wait as well, against what stands there now.
    const behind = allowed
      .filter(({ change }) => change.root === undefined && conflicts.includes(change.path))
      .map((one) => ({ ...one, ...CONFLICT }));
    const others = conflicts.filter((path) => !behind.some(({ change }) => change.path === path));
    return keep(workspace, { ...report, conflicts: others, pending: [...report.pending, ...behind] }, late);
  };

  return {
    apply: async (_permit, workspace, changes) => {
      const judged = judgeChanges(changes, { bounds, textOf });
      // The person saw this very diff and said yes: what the rules would ask about is answered. What they refuse stays refused.
      const answered = judged.map((one): JudgedChange => {
        if (one.change.root !== undefined) return refused(one, "escape", "It is not in the workspace.");
        return one.outcome === "ask" || one.outcome === "leave-out" ? { ...one, outcome: "allow" } : one;
      });
      return await apply(workspace, answered, "file_ops", null);
    },
    async applyView(view) {
      const { judged, truncated } = judge(view);
      if (!truncated) return await apply(view.lower, judged, "run", pending);
      const all = judged.map((one) => refused(one, "too-many", "The call changed more files than can be looked at; none was written."));
      const nothing = { applied: [], conflicts: [], undo: null, leftOut: [], pending: [], waiting: null };
      return { ...nothing, refused: all.slice(0, 20) };
    },
    previewView(view, lines) {
      const { judged, truncated } = judge(view);
      if (truncated) return ["The call changed more files than can be looked at; none would be written."];
      return diffOfAll(judged, diffTexts(view.lower), lines);
    },
  };
}

const CONFLICT = {
  outcome: "ask",
  rule: "conflict",
  reason: "It changed on this computer while the call ran, and was left as it is.",
} as const;

const refused = (one: JudgedChange, rule: string, reason: string): JudgedChange => ({
  ...one,
  outcome: "deny",
  rule,
  reason,
  incident: false,
});

/** What the rules ask about outlives the call, bytes and all. What cannot be kept is refused, and says so. */
function keep(workspace: string, report: WorkspaceReport, pending: PendingStore | null): WorkspaceReport {
  if (report.pending.length === 0 || pending === null) return report;
  // What the program found is gone where somebody changed it: a yes is given to what stands there now.
  const waiting = report.pending.map(({ change, rule, reason }) => ({
    change: rule === "conflict" ? { ...change, before: standing(workspace, change) } : change,
    rule,
    reason,
  }));
  const kept = pending.keep(workspace, waiting);
  if (kept.ok) return { ...report, waiting: kept.value.id };
  const lost = report.pending.map((one) => refused(one, one.rule, `${one.reason} ${kept.error}`));
  return { ...report, pending: [], refused: [...report.refused, ...lost] };
}

const standing = (workspace: string, { path }: Change): Change["before"] =>
  beneath(workspace, path, (folder, name) => beforeOf(folder, name)) ?? { kind: "nothing" };

const found = (view: FolderView, copied: unknown): Found => changesOf(view, copied instanceof CopiedFolder ? copied : null);

/** Both sides of changes to a workspace, for a person. */
export const diffTexts = (workspace: string): DiffTexts => ({
  before: ({ root, path }) => textBeneath(root ?? workspace, path),
  after: textOf,
});

/** What stands there on the host; null where it is no text, or too long. */
function textBeneath(root: string, path: string): string | null {
  return beneath(root, path, (folder, name) => {
    try {
      using file = folder.read(name);
      if (file === null || file.stat.size > MOST_TEXT) return null;
      return decoded(file.blocks());
    } catch {
      return null;
    }
  });
}

const decoded = (blocks: Iterable<Uint8Array>): string =>
  new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(Array.from(blocks, (block) => Buffer.from(block))));

function textOf({ content }: Extract<Change, { kind: "write" }>): string | null {
  if (content.bytes > MOST_TEXT) return null;
  try {
    using folder = Folder.open(dirname(content.file));
    using file = folder.read(basename(content.file));
    return file === null ? null : decoded(file.blocks(content.at ?? 0, content.bytes));
  } catch {
    return null;
  }
}
