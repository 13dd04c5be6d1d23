import { file, type ScriptAttack, sh } from "../types.ts";

export const NAMES: readonly ScriptAttack[] = [
  sh("protected names", "git-hook", `mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit`),
  sh("protected names", "git-hook-deep", `mkdir -p a/b/c/d/.git/hooks; echo evil > a/b/c/d/.git/hooks/post-checkout`),
  sh("protected names", "git-hook-changed", `echo evil > .git/hooks/post-merge`, { plant: [file(".git/hooks/post-merge", "good")] }),
  sh("protected names", "git-hook-by-rename", `mkdir -p staged/hooks; echo evil > staged/hooks/pre-commit; rm -rf .git; mv staged .git`),
  sh(
    "protected names",
    "git-hook-by-ancestor",
    `mkdir -p v2/sub/x/hooks; echo evil > v2/sub/x/hooks/pre-push; mv v2/sub/x v2/sub/.git; mv v2 vendored`,
  ),
  sh("protected names", "git-hook-by-link", `mkdir -p hooks; echo evil > hooks/pre-commit; mkdir -p .git; ln -s ../hooks .git/hooks`),
  sh("protected names", "git-link", `mkdir -p repo/hooks; echo evil > repo/hooks/pre-commit; ln -s repo .git`),
  sh("protected names", "git-file", `mkdir -p repo; echo 'gitdir: repo' > .git`),
  sh("protected names", "git-case", `mkdir -p .GIT/hooks; echo evil > .GIT/hooks/pre-commit`),
  sh("protected names", "git-short-name", `mkdir -p git~1/hooks; echo evil > git~1/hooks/pre-commit`),
  sh(
    "protected names",
    "git-trailing",
    `mkdir -p '.git./hooks' '.git /hooks'; echo evil > '.git./hooks/pre-commit'; echo evil > '.git /hooks/pre-commit'`,
  ),
  sh(
    "protected names",
    "git-invisible",
    `mkdir -p "$(printf '.g\\342\\200\\214it')/hooks"; echo evil > "$(printf '.g\\342\\200\\214it')/hooks/pre-commit"`,
  ),
  sh("protected names", "git-config-fsmonitor", `mkdir -p .git; printf '[core]\\n\\tfsmonitor = evil\\n' > .git/config`),
  sh(
    "protected names",
    "git-config-continued",
    `mkdir -p .git; printf '[core]\\n\\tbare = false\\\\\\n\\tfsmonitor = evil\\n' > .git/config`,
  ),
  sh("protected names", "git-config-include", `mkdir -p .git; printf '[include]\\n\\tpath = ../evil\\n' > .git/config`),
  sh("protected names", "git-config-changed", `printf '[core]\\n\\thooksPath = evil\\n' >> .git/config`, {
    plant: [file(".git/config", "[core]\n\tbare = false\n")],
  }),
  sh("protected names", "git-config-deleted", `rm .git/config`, { plant: [file(".git/config", "[core]\n\tbare = false\n")] }),
  sh("protected names", "git-module-hook", `mkdir -p .git/modules/sub/hooks; echo evil > .git/modules/sub/hooks/pre-commit`),
  sh("protected names", "git-attributes-filter", `mkdir -p .git/info; echo '* filter=evil' > .git/info/attributes`),
  sh("protected names", "gitmodules", `printf '[submodule "x"]\\n\\tpath = x\\n\\turl = ext::evil\\n' > .gitmodules`),
  sh("protected names", "noctem-files", `echo evil > .noctem; mkdir .noctem-x; echo evil > .noctem-x/y`),
  sh("protected names", "mcp", `echo evil > .mcp.json`),
  sh("protected names", "vscode", `mkdir -p .vscode; echo evil > .vscode/tasks.json`),
  sh("protected names", "vscode-by-rename", `mkdir v; echo evil > v/tasks.json; mv v .vscode`),
  sh("protected names", "idea", `mkdir -p .idea; echo evil > .idea/workspace.xml`),
  sh("protected names", "husky", `mkdir -p .husky; echo evil > .husky/pre-commit`),
  sh(
    "protected names",
    "agents",
    `echo evil > AGENTS.md; echo evil > CLAUDE.md; mkdir -p .claude/commands; echo evil > .claude/commands/x.md`,
  ),
  sh("protected names", "shell-start", `echo evil > .bashrc; echo evil > .zshenv; echo evil > .profile; echo evil > .envrc`),
  sh("protected names", "shell-start-changed", `echo evil >> .bashrc`, { plant: [file(".bashrc", "good")] }),
  sh("protected names", "npmrc", `echo 'script-shell=evil' > .npmrc; echo evil > bunfig.toml`),
  sh(
    "protected names",
    "dependency-hooks",
    `mkdir -p node_modules/x/.git/hooks node_modules/x/.vscode; echo evil > node_modules/x/.git/hooks/pre-commit; echo evil > node_modules/x/.vscode/tasks.json`,
  ),
  sh("protected names", "link-out", `ln -s "$H" out; ln -s ../home rel; ln -s a/../../home deep`),
  // Each in a folder of its own: none of them may come out of the view unasked.
  sh("protected names", "every-name", `n=0; for name in $NAMES; do n=$((n+1)); mkdir -p "names/$n"; echo evil > "names/$n/$name"; done`),
  sh(
    "protected names",
    "every-name-as-folder",
    `n=0; for name in $NAMES; do n=$((n+1)); mkdir -p "names/$n/$name"; echo evil > "names/$n/$name/settings.json"; done`,
  ),
  sh("protected names", "git-worktree-file", `mkdir -p .git/worktrees/x; echo evil > .git/worktrees/x/gitdir; echo evil > .git/commondir`),
  sh("protected names", "git-deleted", `rm -rf .git`, {
    plant: [file(".git/HEAD", "ref: refs/heads/main\n"), file(".git/config", "[core]\n\tbare = false\n")],
  }),
  sh("protected names", "git-hook-sample-changed", `echo evil > .git/hooks/pre-push.sample`, {
    plant: [file(".git/hooks/pre-push.sample", "good")],
  }),
  sh("protected names", "settings-become-link", `rm -rf .vscode; mkdir real; ln -s real .vscode; ln -s a.txt .mcp.json`),
  sh("protected names", "git-inside-becomes-link", `mkdir -p .git; mkdir x; echo evil > x/pre-commit; ln -s ../x .git/objects`),
  sh(
    "protected names",
    "foreign-things",
    `mkfifo pipe; mkdir -p d; cp /bin/true d/s; chmod 4755 d/s; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('sock')"`,
  ),
  sh("protected names", "too-many-files", `i=0; while [ $i -lt 2500 ]; do i=$((i+1)); : > "many$i"; done`),
];

/** Written down once more: the judge's own list would forgive itself what it forgot. As `$NAMES`. */
export const NAMES_TO_TRY =
  `.gitmodules .gitconfig .gitattributes .mcp.json .vscode .idea .devcontainer .husky .githooks .claude .codex .cursor .gemini .aider.conf.yml .continue .windsurf .cursorrules agents.md claude.md gemini.md .npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs bunfig.toml .pypirc .ssh .gnupg .netrc .pre-commit-config.yaml .direnv .tool-versions .mise.toml .vimrc .exrc .nvimrc .emacs .dir-locals.el .cargo .gdbinit .lldbinit .pdbrc .nvim.lua .zed .opencode .kiro .lefthook.yml lefthook.yml .irbrc .rprofile .tmux.conf .bashrc .bash_profile .bash_login .bash_logout .profile .zshrc .zshenv .zprofile .zlogin .inputrc .xprofile .xinitrc .xsession .cshrc .tcshrc .kshrc .envrc config.fish  .noctem .noctem-x .noctem.json`
    .split(/\s+/u)
    .join(" ");
