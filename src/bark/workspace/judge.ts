import type { Change, JudgedChange } from "./types.ts";

/** What a workspace may be changed in without asking again. */
export interface ChangeBounds {
  readonly files: number;
  readonly bytes: number;
}

/** What of the workspace's surroundings a judgement needs. */
export interface JudgeFacts {
  /** The call was approved by a person who saw what it would do; a clean difference needs no second question. */
  readonly bounds: ChangeBounds;
  /** Text of a small new or changed file, for names whose content decides; null where it is no text or too long. */
  readonly textOf: (change: Extract<Change, { kind: "write" }>) => string | null;
}

/**
 * Judges a difference, change by change. Names that make some program on the host run code later are protected at any depth, whatever was
 * renamed to get there, because the difference is judged by where things end up.
 *
 * The rules are those of docs/design/0014: what honest tools do passes or is left out and listed; what only an attack does is refused.
 */
export function judgeChanges(changes: readonly Change[], facts: JudgeFacts): readonly JudgedChange[] {
  const writes = changes.filter((change) => change.kind === "write");
  const bytes = writes.reduce((sum, { content }) => sum + content.bytes, 0);
  const tooMuch = changes.length > facts.bounds.files || bytes > facts.bounds.bytes;
  return changes.map((change) => {
    const judged = judgeOne(change, facts);
    if (!tooMuch || judged.outcome !== "allow") return judged;
    const reason = `The call changed ${changes.length} files with ${bytes} bytes, more than goes through unasked.`;
    return { change, outcome: "ask", rule: "bounds", reason, incident: false };
  });
}

function judgeOne(change: Change, facts: JudgeFacts): JudgedChange {
  const say = (outcome: JudgedChange["outcome"], rule: string, reason: string, incident = false): JudgedChange => ({
    change,
    outcome,
    rule,
    reason,
    incident,
  });
  if (change.kind === "foreign") return say("deny", "escape", `It is ${change.what}; such things stay inside.`, true);
  const parts = change.path.split("/").map(plainName);
  const git = parts.indexOf(".git");
  if (git >= 0) return judgeGit(change, parts.slice(git + 1), parts.slice(0, git), facts, say);
  const at = parts.findIndex((part) => isProtected(part));
  if (at < 0) return say("allow", "plain", "");
  const name = change.path.split("/")[at] ?? "";
  const isNew = change.before.kind === "nothing";
  const inDependency = parts.slice(0, at).some((part) => DEPENDENCIES.has(part));
  if (isNew && inDependency)
    return say("leave-out", "dependency", `${name} tells programs on this computer what to run; packages do not need it.`);
  // A folder of that name holds nothing yet; what is put in it is judged by itself.
  if (change.kind === "folder") return say("allow", "plain", "");
  if (SHELL_FILES.has(parts[at] ?? "") && !isNew)
    return say("deny", "startup-file", `${name} is run by shells on this computer; no call may change it.`, true);
  if (change.kind === "link")
    return say("deny", "protected-link", `${name} tells programs on this computer what to run, and may not be a link.`, true);
  return say("ask", "protected", `${name} tells programs on this computer what to run.`);
}

type Say = (outcome: JudgedChange["outcome"], rule: string, reason: string, incident?: boolean) => JudgedChange;

/** `inside`: the names below `.git`; none for `.git` itself, which is a folder, or a file in a linked worktree. */
function judgeGit(change: Change, inside: readonly string[], above: readonly string[], facts: JudgeFacts, say: Say): JudgedChange {
  const [first = "", ...rest] = inside;
  const isNew = change.before.kind === "nothing";
  if (above.some((part) => DEPENDENCIES.has(part)) && isNew)
    return say("leave-out", "dependency", "A repository below a dependency folder is left out.");
  if (change.kind === "link") return say("deny", "git-link", "Inside .git a link could lead git to other settings.", true);
  if (inside.length === 0) {
    if (change.kind === "folder") return say("allow", "git", "");
    if (change.kind === "delete") return say("ask", "git-delete", "The repository itself would be deleted.");
    return say("deny", "git-file", "A .git file decides where git finds its settings and hooks.", true);
  }
  if (change.kind === "folder") return say("allow", "git", "");
  if (change.kind === "delete" && first === "head" && rest.length === 0)
    return say("ask", "git-delete", "Without it there is no repository any more.");
  if (first === "hooks") {
    // Git never runs them under this name, and `git init` writes a dozen.
    const inert = rest.length === 1 && (rest[0] ?? "").endsWith(".sample");
    return inert
      ? say(isNew || change.kind === "delete" ? "allow" : "ask", "git-sample", "A sample hook changed.")
      : say("deny", "git-hook", "Git would run it the next time that you use git here.", true);
  }
  if ((first === "config" || first === "config.worktree") && rest.length === 0) {
    if (change.kind !== "write") return say("deny", "git-config", "The repository's settings may not be deleted.", true);
    const text = facts.textOf(change);
    if (text !== null && isHarmlessConfig(text))
      return isNew ? say("allow", "git-config", "") : say("ask", "git-config", "The repository's settings changed.");
    return say("deny", "git-config", "Settings of git can name programs that it runs.", true);
  }
  if (first === "modules") return judgeModule(change, rest, facts, say);
  if (first === "commondir" || (first === "objects" && rest[0] === "info" && (rest[1] ?? "").endsWith("alternates")))
    return say("deny", "git-elsewhere", "It would lead git to settings or objects that lie elsewhere.", true);
  if (GIT_DATA.has(first)) return say("allow", "git", "");
  if (first === "info" && (rest[0] === "exclude" || rest[0] === "refs") && isNew) return say("allow", "git", "");
  if (first === "worktrees") return say("ask", "git-worktree", "A linked worktree of this repository changed.");
  return say("ask", "git-other", `.git/${inside.join("/")} is nothing that git's everyday commands write.`);
}

/** A submodule's repository, in `.git/modules/NAME`: the name may hold slashes, so its own parts are looked for. */
function judgeModule(change: Change, rest: readonly string[], facts: JudgeFacts, say: Say): JudgedChange {
  const at = rest.findIndex((part, index) => index > 0 && (GIT_DATA.has(part) || MODULE_PARTS.has(part)));
  if (at < 0) return change.kind === "folder" ? say("allow", "git", "") : say("ask", "git-module", "A submodule's repository changed.");
  return judgeGit(change, rest.slice(at), [], facts, say);
}

const MODULE_PARTS: ReadonlySet<string> = new Set(["hooks", "config", "config.worktree", "info", "commondir"]);
const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/u));

/** What add, commit, switch, merge, stash, fetch and clone write. None of it is run. */
const GIT_DATA = words(`objects refs logs index index.lock head orig_head fetch_head merge_head cherry_pick_head revert_head commit_editmsg
  merge_msg merge_mode squash_msg packed-refs shallow description branches auto_merge`);

/** Keys that name no program and no other file. Compared without case, as git does. */
const HARMLESS =
  /^(?:core\.(?:repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf|eol)|user\.(?:name|email)|init\.defaultbranch|branch\..+\.(?:remote|merge|rebase)|remote\..+\.(?:url|fetch)|submodule\..+\.(?:url|active)|extensions\.objectformat)$/;

/** Whether git's own parser could find nothing but harmless keys in it. What is not plain is not harmless. */
export function isHarmlessConfig(text: string): boolean {
  let section = "";
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    // A backslash goes on in the next line or hides a character; quotes and comments inside values have rules of their own.
    if (/[\\\0\r]/.test(raw)) return false;
    const header = /^\[([a-z0-9.-]+)(?: "([^"\]]*)")?\]$/i.exec(line);
    if (header !== null) {
      section = header[2] === undefined ? (header[1] ?? "") : `${header[1] ?? ""}.${header[2]}`;
      continue;
    }
    const entry = /^([a-z][a-z0-9-]*)\s*=\s*([^"#;]*)$/i.exec(line);
    if (entry === null || section === "") return false;
    if (!HARMLESS.test(`${section}.${entry[1] ?? ""}`.toLowerCase())) return false;
    // `ext::` and the like run programs.
    if (/^url$/i.test(entry[1] ?? "") && !/^(?:https?:\/\/|ssh:\/\/|git@[\w.-]+:|\.{0,2}\/|file:\/\/)[^\s]*$/.test(entry[2] ?? ""))
      return false;
  }
  return true;
}

const DEPENDENCIES = words("node_modules vendor site-packages dist-packages .venv venv");
const SHELL_FILES =
  words(`.bashrc .bash_profile .bash_login .bash_logout .profile .zshrc .zshenv .zprofile .zlogin .inputrc .xprofile .xinitrc
  .xsession .cshrc .tcshrc .kshrc .envrc config.fish`);
/** Folders and files that editors, agents and tools read settings from which name programs. */
const PROTECTED =
  words(`.gitmodules .gitconfig .gitattributes .mcp.json .vscode .idea .devcontainer .husky .githooks .claude .codex .cursor .gemini
  .aider.conf.yml .continue .windsurf .cursorrules agents.md claude.md gemini.md .npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs bunfig.toml .pypirc .ssh
  .gnupg .netrc .pre-commit-config.yaml .direnv .tool-versions .mise.toml .vimrc .exrc .nvimrc .emacs .dir-locals.el
  .cargo .gdbinit .lldbinit .pdbrc .nvim.lua .zed .opencode .kiro .lefthook.yml lefthook.yml .irbrc .rprofile .tmux.conf`);

/** `name` as `plainName` gives it. */
export const isProtected = (name: string): boolean => name.startsWith(".noctem") || PROTECTED.has(name) || SHELL_FILES.has(name);

/**
 * A name as the laxest file system and the laxest program read it: without case, without characters that HFS+ ignores, without the ends that
 * Windows drops, and with NTFS's short name of `.git`.
 */
export function plainName(name: string): string {
  const folded = name
    .normalize("NFKC")
    .replaceAll(/\p{Default_Ignorable_Code_Point}/gu, "")
    .toLowerCase()
    .replace(/:.*$/u, "")
    .replace(/[. ]+$/u, "");
  return folded === "git~1" ? ".git" : folded;
}
