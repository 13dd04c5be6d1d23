/** The executor's hand in a workspace: differences are found, judged, applied by the journal, and what may not pass is kept aside or left out. */
import { readFileSync } from "node:fs";
import type { WorkspaceReport, WorkspaceWriter } from "../../bark/execute.ts";
import { type ChangeBounds, judgeChanges } from "../../bark/workspace/judge.ts";
import type { Change, JudgedChange } from "../../bark/workspace/types.ts";
import { diffOfAll } from "../../bark/workspace/diff.ts";
import type { WorkspaceSteps } from "./apply.ts";
import { beneath } from "./beneath.ts";
import { changesOf } from "./view.ts";

/** Bytes of a file whose content decides about it. */
const MOST_TEXT = 64 << 10;

export function workspaceWriter(steps: WorkspaceSteps, bounds: ChangeBounds): WorkspaceWriter {
  const apply = (workspace: string, judged: readonly JudgedChange[], label: string): WorkspaceReport => {
    const by = (outcome: JudgedChange["outcome"]): readonly JudgedChange[] => judged.filter((one) => one.outcome === outcome);
    const allowed = by("allow").map(({ change }) => change);
    const rest = { leftOut: by("leave-out"), pending: by("ask"), refused: by("deny") };
    const applied = steps.apply(workspace, allowed, label);
    if (!applied.ok) {
      const failed = allowed.map((change): JudgedChange => ({
        change,
        outcome: "deny",
        rule: applied.error.kind,
        reason: `Nothing was written: ${applied.error.detail}`,
        incident: false,
      }));
      return { applied: [], conflicts: [], undo: null, ...rest, refused: [...rest.refused, ...failed] };
    }
    const { step, applied: paths, conflicts } = applied.value;
    return { applied: paths, conflicts, undo: step, ...rest };
  };
  return {
    apply: (_permit, workspace, changes) => {
      const judged = judgeChanges(changes, { bounds, textOf });
      // The person saw this very diff and said yes: what the rules would ask about is answered. What they refuse stays refused.
      const answered = judged.map((one): JudgedChange =>
        one.outcome === "ask" || one.outcome === "leave-out" ? { ...one, outcome: "allow" } : one,
      );
      return Promise.resolve(apply(workspace, answered, "file_ops"));
    },
    applyView(view) {
      const { changes, truncated } = changesOf(view);
      const judged = judgeChanges(changes, { bounds, textOf });
      if (!truncated) return Promise.resolve(apply(view.lower, judged, "run"));
      const refused = judged.map((one): JudgedChange => ({
        ...one,
        outcome: "deny",
        rule: "too-many",
        reason: "The call changed more files than can be looked at; none was written.",
      }));
      return Promise.resolve({ applied: [], conflicts: [], undo: null, leftOut: [], pending: [], refused: refused.slice(0, 20) });
    },
    previewView(view, lines) {
      const { changes, truncated } = changesOf(view);
      if (truncated) return ["The call changed more files than can be looked at; none would be written."];
      const texts = { before: ({ path }: Change) => textBeneath(view.lower, path), after: textOf };
      return diffOfAll(judgeChanges(changes, { bounds, textOf }), texts, lines);
    },
  };
}

/** What stands there on the host; null where it is no text, or too long. */
function textBeneath(root: string, path: string): string | null {
  return beneath(root, path, (folder, name) => {
    try {
      using file = folder.read(name);
      if (file === null || file.stat.size > MOST_TEXT) return null;
      const blocks = [...file.blocks()].map((block) => Buffer.from(block));
      return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(blocks));
    } catch {
      return null;
    }
  });
}

function textOf({ content }: Extract<Change, { kind: "write" }>): string | null {
  if (content.bytes > MOST_TEXT) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(content.file));
  } catch {
    return null;
  }
}
