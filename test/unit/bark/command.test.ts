import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import compiled from "../../../profiles/bark/policy.json";
import { parseCommandLine } from "../../../src/bark/policy/command.ts";
import { judgeCommand, judgeHost, judgePath } from "../../../src/bark/policy/judge.ts";
import { loadPolicy } from "../../../src/bark/policy/load.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => Uint8Array.from(new Bun.CryptoHasher("sha256").update(bytes).digest());
const loaded = loadPolicy(compiled, sha256);
if (!loaded.ok) throw new Error(loaded.error.join("\n"));
const { policy } = loaded.value;

/** Characters that mean something to a shell, and some that do not. */
const TRICKY = Array.from("ab1 \t\n'\"\\$`*?[]{}()<>|&;#~=!-/.,:@%+^é日\u00a0\u200b");
const lines = fc.array(fc.constantFrom(...TRICKY), { maxLength: 24 }).map((chars) => chars.join(""));

describe("a command line", () => {
  test("that is read is read as sh reads it", () => {
    // Each command becomes a function call that prints its words; nothing else of the line is changed.
    let readable = 0;
    const cases: { readonly line: string; readonly argv: readonly (readonly string[])[] }[] = [];
    fc.assert(
      fc.property(lines, (line) => {
        const parsed = parseCommandLine(line);
        if (parsed.kind === "unreadable" || /[|<>]/.test(line) || line.includes("&")) return;
        readable++;
        cases.push({ line, argv: parsed.commands.map(({ argv }) => argv) });
      }),
      { numRuns: 4000 },
    );
    expect(readable).toBeGreaterThan(300);
    for (const { line, argv } of cases.slice(0, 300)) {
      // Names of programs are replaced one by one, as the shell found them: by a handler for what is not found.
      const script = `command_not_found_handle() { printf '%s\\0' "$@"; printf '\\1'; }\nPATH=/nowhere\n${line}\n`;
      if (argv.some(([name = ""]) => name === "" || name.includes("/") || /^(?:[.:[]$|%)/.test(name))) continue;
      const ran = Bun.spawnSync(["/bin/bash", "--norc", "--posix", "-c", script], { stdio: ["ignore", "pipe", "ignore"], env: {} });
      const said = ran.stdout
        .toString()
        .split("\u0001")
        .slice(0, -1)
        .map((words) => words.split("\0").slice(0, -1));
      expect(said, JSON.stringify(line)).toEqual(argv.map((words) => [...words]));
    }
  }, 60_000);

  test.each([
    ["echo $HOME", "a variable"],
    ["echo `id`", "a command inside another"],
    ["echo $(id)", "a command inside another"],
    ['echo "$(id)"', "inside quotes"],
    ['echo "${x}"', "inside quotes"],
    ["echo $'a'", "a variable"],
    ["cat <<E", "here-document"],
    ["cat <(id)", "subshell"],
    ["ls *", "a pattern"],
    ["ls ?", "a pattern"],
    ["ls [a]", "a pattern"],
    ["echo {a,b}", "braces"],
    ["cat ~/x", "home folder"],
    ["(id)", "subshell"],
    ["f() { id; }", "subshell"],
    ["sleep 9 &", "background"],
    ["X=1 ls", "sets a variable"],
    ["if true; then id; fi", "small program"],
    ["! true", "small program"],
    ["ls 2> x", "numbered stream"],
    ["ls 2>&1", ">&"],
    ["ls &> x", "&>"],
    ["ls >| x", ">|"],
    ["ls |& cat", "|&"],
    ["ls |", "missing"],
    ["| ls", "missing"],
    ["ls && ", "missing"],
    ["> x", "without a command"],
    ["echo 'a", "not closed"],
    ['echo "a', "not closed"],
    ["echo \\", "backslash"],
    ["", "empty"],
    ["# nothing", "empty"],
    ["ls\u00a0-la", "cannot be seen"],
    ["ls\u200b", "cannot be seen"],
    ["ls\u202ereversed", "cannot be seen"],
    ["ls\u0000", "control"],
    ["ls\u001b[2J", "control"],
    ["ls\r", "control"],
    ["x".repeat(9000), "longer"],
    [Array.from({ length: 70 }, () => "true").join(";"), "more than"],
  ])("that cannot be read says why: %j", (line, why) => {
    const parsed = parseCommandLine(line);
    expect(parsed).toMatchObject({ kind: "unreadable" });
    expect(parsed.kind === "unreadable" ? parsed.what : "").toContain(why);
    expect(judgeCommand(policy, line)).toMatchObject({ outcome: "ask", tier: 3 });
  });
});

describe("the policy", () => {
  test.each([
    ["ls -la", "allow"],
    ["cat a b | grep -n foo | sort -u | head -5", "allow"],
    ["git status && git diff --stat", "allow"],
    ["echo done > /dev/null", "allow"],
    ["echo done > file", "ask"],
    ["echo done >> file", "ask"],
    [`${"true; ".repeat(49)}sudo id`, "deny"],
    ["true && true || sudo id", "deny"],
    ["ls | unshare -r sh", "deny"],
    ["insmod x.ko", "deny"],
    ["noctem bark run shell ls", "deny"],
    ["bash -c id", "ask"],
    ["env -i sh", "ask"],
    ["xargs rm", "ask"],
    ["timeout 9 id", "ask"],
    ["find . -exec id", "ask"],
    ["find . -ok id", "ask"],
    ["find . -delete", "ask"],
    ["find . -fprintf x y", "ask"],
    ["sort --compress-program=id a", "ask"],
    ["sort --compress-prog id a", "ask"],
    ["sort -o out a", "ask"],
    ["sort -uo out a", "ask"],
    ["sed e a", "ask"],
    ["man --html=id ls", "ask"],
    ["tar --checkpoint-action=exec=id -cf a b", "ask"],
    ["rg --pre id x", "ask"],
    ["rg --pre=id x", "ask"],
    ["git -c core.fsmonitor=id status", "ask"],
    ["git --exec-path=x status", "ask"],
    ["git diff --ext-diff", "ask"],
    ["git log --output=x", "ask"],
    ["git fetch --upload-pack=id", "ask"],
    ["git grep -O foo", "ask"],
    ["git blame --contents x y", "allow"],
    ["./ls", "ask"],
    ["/bin/ls", "ask"],
    ["nothing-known", "ask"],
    ["cat .env", "ask"],
    ["cat ./.env", "ask"],
    ["cat .ENV", "ask"],
    ["cat sub/.ssh/id_rsa", "deny"],
    ["cat < .ssh/id_rsa", "deny"],
    ["grep --file=.ssh/id_rsa x", "deny"],
    ["cat heart.sqlite", "deny"],
    // bash as sh: its own printf and test set variables and run what stands in a subscript.
    ["printf -v PATH . && ls", "ask"],
    ["printf -vPATH . && ls", "ask"],
    ["test -v 'a[0]'", "ask"],
    ["test x = x -a -v 'a[0]'", "ask"],
    ["test -R x", "ask"],
    ["printf %s%s a b", "allow"],
    ["test -n a -o -d src", "allow"],
    // Options that write, run programs, set the clock, or read names from a file.
    ["file -C -m x", "ask"],
    ["file -z a", "ask"],
    ["file -bZ a", "ask"],
    ["file --unc a", "ask"],
    ["file -f names", "ask"],
    ["file -b --mime-type a", "allow"],
    ["date -s 12:00", "ask"],
    ["date --se=12:00", "ask"],
    ["date 010203042030", "allow"],
    ["date -u +%F", "allow"],
    ["tree -o x", "ask"],
    ["tree -aR -H . -L 1", "ask"],
    ["tree -L 2", "allow"],
    ["strings @names", "ask"],
    ["diff -l a b", "ask"],
    ["diff -ul a b", "ask"],
    ["diff --pag a b", "ask"],
    ["diff -ru a b", "allow"],
    ["uniq -- -a -b", "ask"],
    ["uniq - b", "ask"],
    ["uniq -c a", "allow"],
    ["xxd -r a", "ask"],
    ["xxd -c16 a b", "ask"],
    ["wc --files0-from=a", "ask"],
    ["du --files0 a", "ask"],
    ["find . -files0-from a", "ask"],
    ["find . -fls a", "ask"],
    ["sort -T. a", "ask"],
    ["jq -nf a", "ask"],
    ["jq --run-tests a", "ask"],
    ["jq -L. . a", "ask"],
    ["rg --hostname-bin id x", "ask"],
    // git: what runs the drivers of a repository, and what only looks as if it did.
    ["git log -p -3", "allow"],
    ["git ls-files -o", "allow"],
    ["git blame -C a", "allow"],
    ["git -p log", "ask"],
    ["git --git-dir=x log", "ask"],
    ["git --git-dir x log", "ask"],
    ["git cat-file --filters HEAD:a", "ask"],
    ["git cat-file --textc HEAD:a", "ask"],
    ["git log --remerge-diff", "ask"],
    ["git log --diff-merges=remerge", "ask"],
    ["git show --show-sig", "ask"],
    ["git diff --no-ind a b", "ask"],
    // Names behind an option's letter, a revision, pathspec magic.
    ["grep -f.env x", "ask"],
    ["grep -f.ssh/id_rsa x", "deny"],
    ["git show HEAD:.env", "ask"],
    ["git show HEAD:./.env", "ask"],
    ["git show HEAD:a/.ssh/id_rsa", "deny"],
    ["git show :0:.env", "ask"],
    ["git log -p :(top).env", "ask"],
    ["git log -p ':(top).env'", "ask"],
    ["git log -p :/.env", "ask"],
    ["git show HEAD:src/env.ts", "allow"],
  ] as const)("says of %j: %s", (line, outcome) => {
    expect(judgeCommand(policy, line)).toMatchObject({ outcome });
  });

  test("judges a line as strictly as the strictest of its parts, in whatever order", () => {
    const parts = ["ls", "cat a", "nothing-known", "sudo id", "bash", "git status"];
    const rank = { allow: 0, ask: 1, deny: 2 };
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...parts), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(" ; ", " && ", " || ", " | ", "\n"),
        (chosen, by) => {
          const whole = rank[judgeCommand(policy, chosen.join(by)).outcome];
          expect(whole).toBe(Math.max(...chosen.map((part) => rank[judgeCommand(policy, part).outcome])));
        },
      ),
    );
  });

  test("knows paths by any spelling of case, at any depth, and hosts to the letter", () => {
    expect(judgePath(policy, "read", "a/b/.SSH/config")).toMatchObject({ outcome: "deny", confidentiality: 3 });
    expect(judgePath(policy, "read", "notes.md")).toMatchObject({ outcome: "allow", confidentiality: 0 });
    expect(judgePath(policy, "write", "notes.md")).toMatchObject({ outcome: "ask" });
    expect(judgePath(policy, "write", "x/.git/hooks/pre-commit")).toMatchObject({ outcome: "deny" });
    expect(judgeHost(policy, "en.wikipedia.org", 443)).toMatchObject({ outcome: "allow" });
    for (const [host, port] of [
      ["wikipedia.org.evil.example", 443],
      ["en.wikipedia.org", 80],
      ["wikipedia.org", 443],
      ["evilwikipedia.org", 443],
    ] as const)
      expect(judgeHost(policy, host, port).outcome, host).toBe("ask");
    expect(judgeHost(policy, "printer.local", 443)).toMatchObject({ outcome: "deny" });
  });

  test("a rule that does not do what it says is an error that names it", () => {
    const [first, ...rest] = compiled.commands;
    const broken = { ...compiled, commands: [{ ...first, programs: ["other"] }, ...rest] };
    const result = loadPolicy(broken, sha256);
    expect(result.ok ? [] : result.error[0]).toContain("command.read-files");
    const twice = loadPolicy({ ...compiled, commands: [...compiled.commands, ...rest.slice(0, 1)] }, sha256);
    expect(twice.ok ? [] : twice.error[0]).toContain("two rules");
  });

  test("a file that is no policy is refused in sentences, whatever it is", () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom("skills", "commands", "paths", "hosts", "environment", "changes", "version", "new"),
        (value, key) => {
          const result = loadPolicy({ ...compiled, [key]: value }, sha256);
          if (key === "new") expect(result.ok).toBe(false);
          if (!result.ok) expect(result.error.length).toBeGreaterThan(0);
          expect(loadPolicy(value, sha256).ok).toBe(false);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
