import type { JoinedGit } from "../cage/types.ts";
import type { Change, JudgedChange } from "./types.ts";

/**
 * A repository outside of the workspace that git in the cage wrote to, because the workspace is a linked worktree or a submodule of it. Stricter than what is said of a
 * `.git` in the workspace: only what `add`, `commit`, `switch` and the like write is taken, name by name, and whatever else was touched is refused. Nothing is asked, since
 * nobody asked for anything else than the everyday commands there.
 */
export function judgeJoined(
  changes: readonly Change[],
  { own }: JoinedGit,
  textOf: (change: Extract<Change, { kind: "write" }>) => string | null,
): readonly JudgedChange[] {
  return changes.map((change): JudgedChange => {
    const say = (outcome: JudgedChange["outcome"], rule: string, reason: string): JudgedChange => ({
      change,
      outcome,
      rule,
      reason,
      incident: outcome === "deny",
    });
    const { path } = change;
    if (change.kind === "foreign") return say("deny", "escape", `It is ${change.what}; such things stay inside.`);
    if (change.kind === "link") return say("deny", "git-link", "A link in a repository could lead git to other settings.");
    const mine = own === "" ? path : path.startsWith(`${own}/`) ? path.slice(own.length + 1) : null;
    // Git's own leftovers, and what it tidied away: the same objects are there twice, and nothing is lost.
    if (/(?:^|\/)(?:tmp_obj_\w+|tmp_pack_\w+|gc\.pid|[^/]+\.lock)$/.test(path))
      return say("leave-out", "git-leftover", "Git would have removed it.");
    if (path.startsWith("objects/") || path === "objects") return judgeObject(change, say);
    const isRef = REFS.test(path) || (mine !== null && (mine === "HEAD" || PSEUDO_REFS.test(mine) || OWN_REFS.test(mine)));
    if (isRef) {
      if (change.kind !== "write" || isPlainRef(textOf(change))) return say("allow", "git-ref", "");
      return say("deny", "git-ref", "It is no plain name of a commit.");
    }
    if (SHARED.test(path) || (mine !== null && OWN.test(mine))) return say("allow", "git", "");
    return say("deny", "git-joined", "Of a repository outside of the workspace only commits, branches and the index are written.");
  });
}

/** Objects never change and are never needed less: a new one is added, and none is taken away. */
function judgeObject(change: Change, say: (outcome: JudgedChange["outcome"], rule: string, reason: string) => JudgedChange): JudgedChange {
  const { path, kind, before } = change;
  if (kind === "delete") return say("leave-out", "git-object", "Objects stay where they are; it does no harm that they are there twice.");
  if (kind === "folder")
    return say(/^objects\/(?:[0-9a-f]{2}|pack|info)$/.test(path) ? "allow" : "deny", "git-object", "It is no folder of objects.");
  if (INDEXES.test(path)) return say("allow", "git-object", "");
  if (!OBJECTS.test(path)) return say("deny", "git-object", "It is no object: git could be led to others by it.");
  return before.kind === "nothing" ? say("allow", "git-object", "") : say("deny", "git-object", "An object of git never changes.");
}

const OBJECTS = /^objects\/(?:[0-9a-f]{2}\/(?:[0-9a-f]{38}|[0-9a-f]{62})|pack\/pack-[0-9a-f]{40,64}\.(?:pack|idx|rev|bitmap|mtimes|keep))$/;
/** Lists that git makes again of the objects that it finds. */
const INDEXES = /^objects\/(?:info\/(?:packs|commit-graph|commit-graphs(?:\/.*)?)|pack\/multi-pack-index)$/;
const REFS = /^refs\/(?:heads|tags|remotes|notes|stash)(?:\/|$)/;
const OWN_REFS = /^refs\/(?:bisect|worktree|rewritten)(?:\/|$)/;
const PSEUDO_REFS = /^(?:ORIG|MERGE|CHERRY_PICK|REVERT|REBASE|FETCH)_HEAD$|^AUTO_MERGE$/;
const SHARED = /^(?:refs|packed-refs|shallow|logs|logs\/refs(?:\/.*)?)$/;
const OWN =
  /^(?:index|sharedindex\.[0-9a-f]+|COMMIT_EDITMSG|MERGE_MSG|MERGE_MODE|MERGE_RR|SQUASH_MSG|logs|logs\/HEAD|logs\/refs(?:\/.*)?|refs)$/;

/** FETCH_HEAD and MERGE_HEAD have several lines, each with a commit at its beginning. */
const isPlainRef = (text: string | null): boolean =>
  text !== null && /^(?:ref: refs\/[\w./+@-]+\n?|(?:(?:[0-9a-f]{64}|[0-9a-f]{40})(?:[ \t][^\n\0]*)?(?:\n|$))+)$/.test(text);
