/** What stands between an attack and the host, each with a way to take it out of a copy of the source. Keys of `covers` are derived from the code by `defencesInCode`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bwrapOptions, innerCommand, wordText } from "../../src/bark/cage/argv.ts";
import type { CagePlan } from "../../src/bark/cage/types.ts";
import { readList } from "../../scripts/seccomp/generate.ts";
import { ROOT } from "./noctem.ts";

export interface Defence {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** Attacks to run, as `--only`. */
  readonly only: string;
  /** Which of those in the code it is. */
  readonly covers?: readonly string[];
  /** Of cages that stand ready; the others are attacked in cages that are built whole. */
  readonly standing?: true;
}
export type Edit =
  | { readonly file: string; readonly find: string; readonly put: string }
  | { readonly file: string; readonly change: (text: string) => string };

const ARGV = "src/bark/cage/argv.ts";
const RUNNER = "src/platform/cage/runner.ts";
const SUPERVISOR = "src/platform/cage/supervisor.ts";
const JUDGE = "src/bark/workspace/judge.ts";
const COMMAND = "src/bark/policy/command.ts";
const RULES = "src/bark/policy/judge.ts";
const MONITOR = "src/bark/monitor/monitor.ts";
const READER = "src/platform/skills/reader.ts";
const BENEATH = "src/platform/workspace/beneath.ts";
const VIEW = "src/platform/workspace/view.ts";
const INSIDE_HELPER = "native/helper/inside.c";
const OUTSIDE_HELPER = "native/helper/outside.c";
const STANDBY_HELPER = "native/helper/standby.c";
/** All that it does; the rest of its folder is the C library that it has. */
const HELPER = ["helper.c", "inside.c", "relay.c", "outside.c", "standby.c"].map((name) => `native/helper/${name}`);
const POLICY = "profiles/bark/policy.json";

const one = (name: string, file: string, find: string, put: string, only: string, ...covers: readonly string[]): Defence => ({
  name,
  edits: [{ file, find, put }],
  only,
  covers,
});

const CAGE: readonly Defence[] = [
  one(
    "a network of its own",
    ARGV,
    '"--unshare-all"',
    '"--unshare-pid", "--unshare-ipc", "--unshare-uts"',
    "host-loopback",
    "bwrap --unshare-all",
  ),
  one("processes of its own", ARGV, '"--unshare-all"', '"--unshare-net", "--unshare-ipc", "--unshare-uts"', "kill,see-host,outlive"),
  one("a first process of ours", ARGV, '    "--as-pid-1",\n', "", "first-process", "bwrap --as-pid-1"),
  one("a name of its own", ARGV, '"--hostname", "noctem"', "", "name-of-host", "bwrap --hostname"),
  one(
    "filters",
    ARGV,
    '...descriptors.seccomp.flatMap((fd) => ["--add-seccomp-fd", String(fd)]),',
    "",
    "syscall,tioc",
    "bwrap --add-seccomp-fd",
  ),
  one(
    "an empty root",
    ARGV,
    '...bind("--ro-bind", "/usr", "/usr"),',
    '...bind("--ro-bind", "/usr", "/usr"), ...bind("--ro-bind", "/var", "/var"),',
    "read-,find-secrets",
    "bwrap --ro-bind",
  ),
  one("a /tmp of its own", ARGV, '...tmpfs("/tmp", diskBytes),', '...bind("--ro-bind", "/tmp", "/tmp"),', "read-ssh-key", "bwrap --tmpfs"),
  one(
    "few files of /etc",
    "src/platform/cage/parts.ts",
    "for (const name of FROM_HOST)",
    'for (const name of [...FROM_HOST, "shadow", "passwd"])',
    "read-shadow,read-host-users",
  ),
  one("masked files", ARGV, 'return mount.folder ? tmpfs(to, MASK) : bind("--ro-bind", "/dev/null", to);', "return [];", "masked"),
  one("masks of what a program may not read", "src/bark/redteam/run.ts", "[...base.mounts, ...masks]", "base.mounts", "masked"),
  one("a copy-on-write view", RUNNER, 'workspace?.mode === "copy-on-write";', "false as boolean;", "git-hook"),
  one("a bound on memory written to, for the view", RUNNER, "limits.diskBytes, control)", "2 ** 33, control)", "disk"),
  one("open files", ARGV, "nofile: limits.openFiles,", "nofile: 1048576,", "descriptors", "inner nofile"),
  one("the size of a file", ARGV, "fsize: limits.fileBytes,", "fsize: 2 ** 40,", "one-large-file", "inner fsize"),
  one("no core files", ARGV, "core: 0,", "core: 2 ** 30,", "core-file", "inner core"),
  one("time", SUPERVISOR, 'setTimeout(() => stop("time"), limits.wallMs)', "setTimeout(() => undefined, limits.wallMs)", "sleeper"),
  one("cancelling", SUPERVISOR, 'const cancel = (): void => stop("cancelled");', "const cancel = (): void => undefined;", "call-cancelled"),
  one("output", "src/platform/cage/output.ts", "if (budget.left < 0) {", "if (budget.left < -1e15) {", "output"),
  one("names of keys", ARGV, '...parts.hidden.flatMap((path) => bind("--ro-bind", "/dev/null", path)),', "", "keyring,facts-of-the-host"),
  one("a permit", RUNNER, 'if (fault !== null) return err({ kind: "no-permit", fault });', "void fault;", "permit"),
  one(
    "files that a yes was about",
    RUNNER,
    "if (changed !== undefined) return",
    "if (changed !== undefined && changed.path === '') return",
    "script-changed",
  ),
  one(
    "a second look at secrets after a yes",
    "src/bark/execute.ts",
    "if (changed !== null) return",
    'if (changed === "") return',
    "secret-put-there",
  ),
];

const INSIDE: readonly Defence[] = [
  one(
    "a first process that nobody's memory is",
    INSIDE_HELPER,
    '    if (prctl(PR_SET_DUMPABLE, 0) != 0) die("dumpable");\n    sigset_t',
    "    sigset_t",
    "write-first-process",
    "helper PR_SET_DUMPABLE",
  ),
  {
    name: "an end with whoever started it",
    edits: [
      { file: ARGV, find: '    "--die-with-parent",\n', put: "" },
      {
        file: INSIDE_HELPER,
        find: "if (ppoll(&reader, 1, NULL, &none) > 0) return FAILED;",
        put: "ppoll(NULL, 0, NULL, &none); (void) reader;",
      },
    ],
    only: "noctem-killed",
    covers: ["bwrap --die-with-parent", "helper ppoll", "helper PR_SET_PDEATHSIG"],
  },
];

const standing = (name: string, file: string, find: string, put: string, only: string, ...covers: readonly string[]): Defence => ({
  ...one(`standing: ${name}`, file, find, put, only, ...covers),
  standing: true,
});

/** What a cage has before it is known what for. */
const STANDING: readonly Defence[] = [
  standing("a network of its own", STANDBY_HELPER, "CLONE_NEWNET | ", "", "host-loopback", "helper CLONE_NEWNET"),
  standing("messages of its own", STANDBY_HELPER, "CLONE_NEWIPC | ", "", "shared-with-the-host", "helper CLONE_NEWIPC"),
  standing(
    "files of the kernel that it hides",
    "src/bark/cage/standing.ts",
    '...parts.hidden.flatMap((path) => ["--hide", path]),',
    "",
    "keyring,facts-of-the-host",
  ),
  standing(
    "an empty root",
    "src/bark/cage/standing.ts",
    '    "--mount",\n    "/usr",\n    "/usr",\n',
    '    "--mount",\n    "/usr",\n    "/usr",\n    "--mount",\n    "/var",\n    "/var",\n',
    "read-,find-secrets",
  ),
  standing(
    "what is masked in a workspace",
    ARGV,
    'return mount.folder ? tmpfs(to, MASK) : bind("--ro-bind", "/dev/null", to);',
    "return [];",
    "masked",
  ),
  standing("filters", ARGV, '...descriptors.seccomp.flatMap((fd) => ["--add-seccomp-fd", String(fd)]),', "", "syscall,tioc"),
  {
    name: "standing: an end with whoever started it",
    edits: [
      { file: ARGV, find: '    "--die-with-parent",\n', put: "" },
      { file: STANDBY_HELPER, change: (text) => text.replaceAll(/if \(prctl\(PR_SET_PDEATHSIG, SIGKILL\) != 0\) die\("prctl"\);/g, "") },
      {
        file: INSIDE_HELPER,
        find: "if (ppoll(&reader, 1, NULL, &none) > 0) return FAILED;",
        put: "ppoll(NULL, 0, NULL, &none); (void) reader;",
      },
    ],
    only: "noctem-killed",
    standing: true,
  },
  {
    name: "standing: an end of what the program started",
    edits: [{ file: STANDBY_HELPER, find: "    syscall(SYS_kill, -1, SIGKILL);\n", put: "" }],
    only: "processes",
    standing: true,
  },
];

/** Around root's cages; nobody else has those. */
const OUTSIDE: readonly Defence[] =
  process.geteuid?.() === 0
    ? [
        {
          name: "nodes of devices that nobody changes",
          edits: [
            { file: OUTSIDE_HELPER, find: 'attribute("/dev", READ_ONLY | NOSUID, 0)', put: 'attribute("/dev", NOSUID, 0)' },
            { file: OUTSIDE_HELPER, find: "MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID", put: "MS_REMOUNT | MS_BIND | MS_NOSUID" },
          ],
          only: "device-nodes",
        },
      ]
    : [];

const WORKSPACE: readonly Defence[] = [
  one(
    "links that lead out",
    VIEW,
    "if (!staysInside(path, target))",
    'if (target === "" && !staysInside(path, target))',
    "link",
    "judge escape",
  ),
  one(
    "the laxest reading of names",
    JUDGE,
    'change.path.split("/").map(plainName)',
    'change.path.split("/")',
    "git-case,git-trailing,git-invisible,git-short",
  ),
  one("hooks", JUDGE, ': say("deny", "git-hook"', ': say("allow", "git-hook"', "git-hook", "judge git-hook"),
  one(
    "git's settings",
    JUDGE,
    'return say("deny", "git-config", "Settings',
    'return say("allow", "git-config", "Settings',
    "git-config",
    "judge git-config",
  ),
  one(
    "where git looks for more",
    JUDGE,
    'return say("deny", "git-elsewhere"',
    'return say("allow", "git-elsewhere"',
    "git-worktree-file",
    "judge git-elsewhere",
  ),
  one("harmless settings only", JUDGE, "text !== null && isHarmlessConfig(text)", "text !== null", "git-config"),
  one("a .git file", JUDGE, 'return say("deny", "git-file"', 'return say("allow", "git-file"', "git-file", "judge git-file"),
  one(
    "links inside .git",
    JUDGE,
    'return say("deny", "git-link"',
    'return say("allow", "git-link"',
    "git-hook-by-link,git-link,git-inside",
    "judge git-link",
  ),
  one(
    "links of protected names",
    JUDGE,
    'return say("deny", "protected-link"',
    'return say("allow", "protected-link"',
    "settings-become-link",
    "judge protected-link",
  ),
  one(
    "submodules' repositories",
    JUDGE,
    'if (first === "modules") return judgeModule',
    'if (first === "modules") return say("allow", "git", ""); if (first === "") return judgeModule',
    "git-module-hook",
    "judge git-module",
  ),
  one(
    "worktrees' files",
    JUDGE,
    'return say("ask", "git-worktree"',
    'return say("allow", "git-worktree"',
    "git-worktree-file",
    "judge git-worktree",
  ),
  one(
    "unusual files of git",
    JUDGE,
    'return say("ask", "git-other"',
    'return say("allow", "git-other"',
    "git-attributes-filter,git-worktree-file",
    "judge git-other",
  ),
  one(
    "the repository's head",
    JUDGE,
    'if (change.kind === "delete" && first === "head"',
    'if (change.kind === "delete" && first === "never"',
    "git-deleted",
    "judge git-delete",
  ),
  one(
    "sample hooks that change",
    JUDGE,
    '? say(isNew || change.kind === "delete" ? "allow" : "ask", "git-sample"',
    '? say("allow", "git-sample"',
    "git-hook-sample",
    "judge git-sample",
  ),
  one(
    "changed files that shells run",
    JUDGE,
    'return say("deny", "startup-file"',
    'return say("allow", "startup-file"',
    "shell-start-changed",
    "judge startup-file",
  ),
  one("names of settings", JUDGE, 'return say("ask", "protected"', 'return say("allow", "protected"', "vscode,mcp", "judge protected"),
  one(
    "repositories in dependencies",
    JUDGE,
    'return say("leave-out", "dependency", `${name}',
    'return say("allow", "dependency", `${name}',
    "dependency-hooks",
    "judge dependency",
  ),
  one(
    "names opened through no link",
    BENEATH,
    "return new Folder(openSync(this.#at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));",
    "return new Folder(openSync(this.#at(name), O_RDONLY | O_DIRECTORY));",
    "race-skill-reads-folder,race-skill-writes,race-applied-folder",
  ),
  one("files opened through no link", BENEATH, "O_RDONLY | O_NOFOLLOW | O_NONBLOCK", "O_RDONLY | O_NONBLOCK", "race-skill-reads-file"),
  one(
    "hard links of what is not read",
    READER,
    "is.nlink > 1 && never.has(identityOf(is))",
    "is.nlink > 1 && never.has(`${identityOf(is)}-`)",
    "hard-link",
  ),
  one(
    "Noctem's own folder as a workspace",
    "src/cli/bark-desk.ts",
    "if (meetsOwnFiles(found, layout) || isMountedOwn(found, layout))",
    'if (found === "")',
    "workspace-",
  ),
];

const PATH: readonly Defence[] = [
  one("a log that was written", MONITOR, "if (!intent.ok)", 'if (!intent.ok && skill === "")', "log-cannot-be-written"),
  one(
    "nobody is a no",
    MONITOR,
    'if (approvals === null) return bare("unanswered", "nobody");',
    'if (approvals === null) return bare("allowed", "nobody");',
    "yes-in-words,substitution,unasked,remark-says",
  ),
  one(
    "what was shown is what is done",
    MONITOR,
    "if (permit.digest !== effect) return",
    'if (permit.digest === "") return',
    "effect-changed",
  ),
  one(
    "what is asked about can be read whole",
    "src/bark/approvals.ts",
    "if (lines.length > MOST_LINES || lines.some((line) => line.length > MOST_WIDTH))",
    "if (lines.length > 1e9)",
    "hidden-in-approval,thousand-lines",
  ),
  one(
    "every character of a question spelled out",
    "src/lib/exact.ts",
    "if (strange.has(at) || isOdd(character, marks)) {",
    "if (at < 0) {",
    "approval-on-terminal",
  ),
  one(
    "nothing acts on a terminal",
    "src/cli/bark-run.ts",
    "io.stdoutIsTerminal ? forTerminal(report.text) : report.text",
    "report.text",
    "output-on-terminal",
  ),
  one("text that is text", "src/skills/registry.ts", "!value.isWellFormed()", 'value === "\\u0000"', "not-a-command"),
  one(
    "substitutions",
    COMMAND,
    'return char === "`" || line[at + 1] === "(" ? "it runs a command inside another" : "it uses a variable";',
    'word = (word ?? "") + char, at++;',
    "substitution,variables",
  ),
  one("patterns", COMMAND, 'else if ("*?[".includes(char)) return "it uses a pattern for file names";', "", "braces-and-patterns"),
  one("braces", COMMAND, 'else if (char === "{" || char === "}") return "it uses braces";', "", "braces-and-patterns"),
  one("what runs in the background", COMMAND, 'if (operator === "&") return "it runs something in the background";', "", "background"),
  one(
    "here-documents and odd redirections",
    COMMAND,
    'return two === "<<" ? "it has a here-document"',
    'if (two === "") return two === "<<" ? "it has a here-document"',
    "here-documents,redirections",
  ),
  one("control characters", COMMAND, "if (/[^\\P{Cc}\\t\\n]/u.test(line)) return", 'if (line === "") return', "controls"),
  one("unseen spaces", COMMAND, 'return unreadable("it has spaces or marks that cannot be seen");', "void 0;", "unseen-spaces"),
  one("small programs", COMMAND, 'return unreadable("it is a small program, not a list of commands");', "void 0;", "compound-commands"),
  one("assignments", COMMAND, 'return unreadable("it sets a variable");', "void 0;", "assignments"),
  one("programs named by a path", RULES, 'if (program.includes("/"))', 'if (program === "/")', "paths-to-programs"),
  one(
    "redirections that write",
    RULES,
    '{ rule: "command.redirection", outcome: "ask"',
    '{ rule: "command.redirection", outcome: "allow"',
    "redirections",
  ),
  one(
    "programs that no rule names",
    RULES,
    'outcome: "ask", reason: "No rule speaks of this command."',
    'outcome: "allow", reason: "No rule speaks of this command."',
    "unknown-programs",
  ),
  one("secrets among the words", RULES, "...judgeWords(policy, command),", "", "secret-words,own-files-by-line,keys-by-line"),
  one("an environment of few", POLICY, '"environment": ["LANG"', '"environment": ["LD_PRELOAD", "LANG"', "loader-variables"),
];

const policy = JSON.parse(readFileSync(join(ROOT, POLICY), "utf8")) as {
  readonly commands: readonly {
    readonly id: string;
    readonly outcome: string;
    readonly without?: readonly string[];
    readonly words?: number;
  }[];
  readonly paths: readonly {
    readonly id: string;
    readonly operations: readonly string[];
    readonly paths: readonly string[];
    readonly match: readonly string[];
  }[];
};
type Loose = Record<string, Record<string, unknown>[]>;
const inPolicy = (change: (policy: Loose) => void): Edit => ({
  file: POLICY,
  change(text) {
    const value = JSON.parse(text) as Loose;
    change(value);
    return JSON.stringify(value, null, 2);
  },
});

/** Rules of the policy that deny, and conditions of those that allow. What asks is asked about without its rule as well. */
const RULED: readonly Defence[] = policy.commands.flatMap(({ id, outcome, without, words }): readonly Defence[] => {
  if (outcome === "deny")
    return [
      {
        name: `policy ${id}`,
        edits: [inPolicy((value) => (value["commands"] = value["commands"]?.filter((rule) => rule["id"] !== id) ?? []))],
        only: "command parsing",
      },
    ];
  if (outcome !== "allow" || (without === undefined && words === undefined)) return [];
  const edit = inPolicy((value) => {
    const rule = value["commands"]?.find((one_) => one_["id"] === id) ?? {};
    delete rule["without"];
    delete rule["words"];
    rule["not_match"] = [];
  });
  return [{ name: `conditions of ${id}`, edits: [edit], only: "command parsing" }];
});

const wordsOf = (name: string): readonly string[] => {
  const text = readFileSync(join(ROOT, JUDGE), "utf8");
  return (new RegExp(`const ${name} =\\s*words\\(\`([^\`]*)\``).exec(text)?.[1] ?? "").split(/\s+/).filter((word) => word !== "");
};
/** Each protected name, and each pattern of what programs may not read. */
const NAMED_ONES: readonly Defence[] = [
  ...["PROTECTED", "SHELL_FILES"].flatMap((list) =>
    wordsOf(list).map((word): Defence => ({
      name: `the name ${word}`,
      edits: [
        { file: JUDGE, change: (text) => text.replace(new RegExp(`(?<=[\\s\`])${word.replaceAll(".", "\\.")}(?=[\\s\`])`, "g"), "") },
      ],
      only: "every-name",
    })),
  ),
  ...policy.paths
    .filter(({ id }) => id === "path.keys" || id === "path.environment")
    .flatMap(({ id, paths }) =>
      paths.map((pattern): Defence => ({
        name: `the pattern ${pattern}`,
        edits: [
          inPolicy((value) => {
            const rule = value["paths"]?.find((one_) => one_["id"] === id) ?? {};
            rule["paths"] = paths.filter((other) => other !== pattern);
            // Its examples are checked when it is loaded.
            rule["match"] = [paths.find((other) => other !== pattern && !other.includes("*", 3))?.slice(3) ?? ""];
          }),
        ],
        only: "every-masked-name",
      })),
    ),
];

/** Each rule of the list of what is denied, taken out of the program that the kernel runs; and both programs' ends. */
const SECCOMP: readonly Defence[] = [
  ...readList("deny").rules.map(({ why }): Defence => ({
    name: `denied calls: ${why}`,
    edits: [
      {
        file: "profiles/seccomp/deny.json",
        change(text) {
          const list = JSON.parse(text) as { rules: { why: string }[] };
          return JSON.stringify({ ...list, rules: list.rules.filter((rule) => rule.why !== why) });
        },
      },
    ],
    only: "tier1",
    covers: [`deny ${why}`],
  })),
  {
    name: "only calls that are listed",
    edits: [
      {
        file: "profiles/seccomp/allow.json",
        change: (text) => JSON.stringify({ ...(JSON.parse(text) as object), otherwise: "allow", rules: [] }),
      },
    ],
    only: "syscall",
    covers: ["allow otherwise"],
  },
];

export const DEFENCES: readonly Defence[] = [
  ...CAGE,
  ...INSIDE,
  ...STANDING,
  ...OUTSIDE,
  ...WORKSPACE,
  ...PATH,
  ...RULED,
  ...SECCOMP,
  ...NAMED_ONES,
];

/** Some of them, quick, one of each kind: what `make test` takes out. */
export const QUICK: readonly string[] = [
  "a network of its own",
  "standing: a network of its own",
  "masked files",
  "hooks",
  "nobody is a no",
  "a permit",
  "secrets among the words",
];

/** Defences of the code that are taken out by none of the above, and why. Keys as `defencesInCode` gives them. */
export const NOT_TAKEN_OUT: Readonly<Record<string, string>> = {
  "bwrap --unshare-user": "--unshare-all asks for one too; this makes its absence an error instead of a cage of less",
  "bwrap --disable-userns": "the filter refuses every call that makes one; in the tests of the cage it is the filter that answers",
  "bwrap --new-session": "Noctem starts every cage in a session of its own, and the helper every program",
  "bwrap --cap-drop": "bubblewrap keeps none for a program in a user namespace unless it is asked to",
  "bwrap --clearenv": "bubblewrap itself is started with an empty environment",
  "bwrap --setenv": "gives variables, and takes none; which ones is the policy's list",
  "bwrap --chdir": "where a program begins is no fence",
  "bwrap --file": "a small file of /etc, copied; which ones they are is taken out above",
  "bwrap --perms": "lets others than root read what is mounted below a folder",
  "bwrap --dir": "makes a folder to mount on",
  "bwrap --proc": "without it there is none at all",
  "bwrap --dev": "without it there is none at all; another would be the host's, which no test may write to",
  "bwrap --size": "as root the control group counts the same memory, and the supervisor does for everybody",
  "bwrap --bind": "binds the view; that it is one stands above as a copy-on-write view",
  "bwrap --symlink": "makes /bin lead to /usr/bin",
  "bwrap --remount-ro": "the root is an empty folder in memory: what is written there reaches nobody",
  "bwrap --dev-bind": "devices of the engine's cage: test/integration/engine-cage judges it",
  "inner cpu": "the limit of time ends the same programs sooner",
  "inner as": "the supervisor and the control group add up what is really used",
  "inner nproc": "does nothing for root; without the control group the test itself would be a fork bomb on this computer",
  "inner --rlimit": "its kinds stand by themselves",
  "inner --same":
    "the same comparison as the view's, after the mount: test/integration/bark-cage.test.ts swaps the folder at that very moment",
  "inner --landlock-ro": "the mounts are read-only without it; taking out both would let the attacks write to this computer's /usr",
  "inner --landlock-rw": "opens, and closes nothing",
  "inner --relay": "the way to the proxy: test/integration/proxy.test.ts",
  "inner --no-net-but": "the network is empty but for the relay: test/integration/proxy.test.ts",
  "helper PR_SET_NO_NEW_PRIVS": "bubblewrap sets it as well",
  "helper expect_same":
    "a race of microseconds that 500 swaps do not win: test/integration/bark-cage.test.ts swaps the folder at that very moment",
  "helper setsid": "for stopping a program and all it starts together, and no fence",
  "helper MS_NOSUID": "nothing gains rights by a file once no_new_privs is set",
  "helper MS_NODEV": "no capability, no device file",
  "helper MS_NOEXEC": "of what is the kernel's own, and holds no program",
  "helper MS_PRIVATE": "the namespace is another user's to the kernel: its mounts cannot come out",
  "helper CLONE_NEWUSER": "without it nothing can be mounted, and the call fails",
  "helper CLONE_NEWNS": "without it nothing can be mounted, and the call fails",
  "helper CLONE_NEWPID": "without it there is no first process to be, and what is killed at the end would be the host's",
  "helper CLONE_NEWUTS": "without it the computer itself would be given another name",
  "helper CLONE_NEWCGROUP": "names of groups are seen without it, and no kernel has to have it",
  "helper PR_SET_CHILD_SUBREAPER": "the end of the first process is the end of orphans as well",
  "judge bounds": "too many changes are asked about, which no attack on names shows: test/unit/bark/judge.test.ts",
};

const plan: CagePlan = {
  profile: "all",
  tier: 2,
  argv: ["/bin/true"],
  cwd: "/",
  env: { A: "b" },
  mounts: [
    { kind: "read-only", from: "/a", to: "/a" },
    { kind: "read-write", from: "/a", to: "/a" },
    { kind: "device", from: "/a", to: "/a" },
    { kind: "tmpfs", to: "/a", bytes: 1 },
    { kind: "folder", to: "/a" },
    { kind: "mask", to: "/a", folder: true },
    { kind: "mask", to: "/a", folder: false },
    { kind: "link", target: "a", to: "/a" },
  ],
  workspace: { host: "/w", inside: "/w", mode: "copy-on-write" },
  seccomp: "deny+allow",
  network: { kind: "proxy", port: 1, reach: {} as never },
  limits: { wallMs: 1, cpuSeconds: 1, memoryBytes: 1, processes: 1, outputBytes: 1, openFiles: 1, fileBytes: 1, diskBytes: 1 },
  floor: "namespaces",
};

/** Every option of bubblewrap and of the helper, every limit, rule of a list, duty of the helper and rule of the judge that there is. */
export function defencesInCode(): readonly string[] {
  const bwrap = bwrapOptions(
    plan,
    { etc: [{ kind: "read-only", from: "/a", to: "/etc/a" }], roots: [], hidden: ["/proc/keys"] },
    { seccomp: [3], files: [{ to: "/etc/b", fd: 4 }] },
    { socket: "/s", env: {} },
  );
  const inner = innerCommand(plan, ["/a:1:1"]);
  const flags = (words: readonly string[]): readonly string[] => words.filter((word) => /^--[a-z]/.test(word));
  const limits = inner.flatMap((word, index) => (inner[index - 1] === "--rlimit" ? [word.split("=", 1)[0] ?? ""] : []));
  const helper = HELPER.map((path) => readFileSync(join(ROOT, path), "utf8")).join("\n");
  const judge = readFileSync(join(ROOT, JUDGE), "utf8");
  const duties =
    helper.match(/\bPR_SET_\w+|\bMS_NO\w+|\bMS_PRIVATE|\bCLONE_NEW\w+|\bexpect_same(?=\(folder)|\bsetsid(?=\()|\bppoll(?=\()/g) ?? [];
  const rules = [...judge.matchAll(/"(?:deny|ask|leave-out)",\s*"([a-z-]+)"|outcome: "ask", rule: "([a-z-]+)"/g)].map(
    (match) => match[1] ?? match[2] ?? "",
  );
  return [
    ...new Set([
      ...flags(bwrap.map(wordText)).map((word) => `bwrap ${word}`),
      ...[...flags(inner), ...limits].map((word) => `inner ${word}`),
      ...readList("deny").rules.map(({ why }) => `deny ${why}`),
      "allow otherwise",
      ...duties.map((word) => `helper ${word}`),
      ...rules.map((rule) => `judge ${rule}`),
    ]),
  ];
}

/** Taken out alone these show nothing. Named, as a defence that no attack needs has to be. */
export const HOLDS_TWICE: Readonly<Record<string, string>> = {
  "processes of its own": "bubblewrap builds no cage whose first process is ours without them",
  "a first process of ours": "the first process of bubblewrap 0.8 runs under the filter as well; that of others was seen without it",
  "a bound on memory written to, for the view": "as root the control group counts the same memory, and the supervisor for everybody",
  "here-documents and odd redirections": "their parts are no redirection that leads anywhere",
  "denied calls: Typing into the terminal that the person sits at.": "newer kernels let nobody but the host's root do it",
  "denied calls: Raw frames.": "the kernel asks for a capability as well, and nobody in a cage has any",
  // Each of a pair: the folder is masked by the one, what is in it by the other.
  "the pattern **/.ssh": "**/.ssh/** masks what is in it",
  "the pattern **/.ssh/**": "**/.ssh masks the folder",
  "the pattern **/.gnupg": "**/.gnupg/** masks what is in it",
  "the pattern **/.gnupg/**": "**/.gnupg masks the folder",
  // A refusal where the other asks; what runs in a cage sees neither.
  "the pattern **/.cargo/credentials": "**/credentials masks it as well",
  "the pattern **/.cargo/credentials.toml": "**/credentials.* masks it as well",
  "standing: an end of what the program started": "their end is waited for, and the limit of time ends them",
  "small programs": "no rule names `if` or `for` as a program",
  assignments: "no rule names a program with = in it",
  "programs named by a path": "no rule names a program with / in it",
};
