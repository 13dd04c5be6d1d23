import { describe, expect, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { reportText } from "../../../src/cli/bug-report.ts";
import { bytesText } from "../../../src/cli/bytes-text.ts";
import type { Command } from "../../../src/cli/command.ts";
import { completionScript } from "../../../src/cli/completion-scripts.ts";
import { ExitCode } from "../../../src/cli/exit-code.ts";
import { helpText } from "../../../src/cli/help.ts";
import { commandTree } from "../../../src/cli/tree.ts";

const root = commandTree();
const paths = (command: Command, above: readonly Command[] = []): readonly (readonly Command[])[] => [
  [...above, command],
  ...command.commands.flatMap((sub) => paths(sub, [...above, command])),
];
const nameOf = (path: readonly Command[]): string => path.map((command) => command.name).join(" ");

describe("help", () => {
  for (const path of paths(root))
    test(nameOf(path), () => {
      for (const columns of [20, 40, 60, 80, 120, 300]) {
        const text = helpText(path, columns);
        const width = Math.max(40, Math.min(100, columns));
        // Only what cannot be broken may stick out: a usage line or an example, which people copy.
        for (const line of text.split("\n"))
          if (line.length > width) expect(line).toMatch(/^ {2}(noctem|… \||git|echo|source|NOCTEM|[\d, ]+|-|\S+$)/u);
        expect(text).not.toMatch(/[ \t]$/mu);
        expect(text.endsWith("\n")).toBe(true);
      }
      const text = helpText(path, 80);
      const command = path.at(-1);
      for (const [name, spec] of Object.entries(command?.options ?? {}))
        expect(text).toContain(`--${spec.onByDefault ? "no-" : ""}${name}`);
      for (const sub of command?.commands ?? []) expect(text).toContain(sub.name);
      expect(text).toContain("--help");
    });

  test("every exit code is explained at the root", () => {
    const codes = helpText([root], 80).split("Exit codes:")[1] ?? "";
    for (const code of Object.values(ExitCode)) expect(codes).toMatch(new RegExp(`(^|[ ,])${code}[ ,]`, "mu"));
  });

  test("every command has a line of its own and no two options share a letter", () => {
    for (const path of paths(root)) {
      const command = path.at(-1);
      expect(command?.describe).not.toBe("");
      expect(command?.describe).not.toEndWith(".");
      const letters = Object.values(command?.options ?? {}).flatMap((spec) => spec.alias ?? []);
      expect(new Set(letters).size).toBe(letters.length);
      expect(letters).not.toContain("h");
    }
  });
});

describe("completions", () => {
  /** What bash offers for a line, by running bash. */
  function offered(...words: readonly string[]): readonly string[] {
    const script = `${completionScript("bash", root)}
COMP_WORDS=(noctem "$@"); COMP_CWORD=$#; _noctem; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const child = Bun.spawnSync(["bash", "--norc", "-c", script, "bash", ...words], { stdio: ["ignore", "pipe", "inherit"] });
    return child.stdout.toString().split("\n").filter(Boolean);
  }

  test.skipIf(!existsSync("/bin/bash"))("bash (skipped without bash)", () => {
    expect(offered("se")).toEqual(["sessions"]);
    expect(offered("sessions", "")).toEqual(["list", "show", "export", "delete", "--help"]);
    expect(offered("sessions", "list", "--j")).toEqual(["--json"]);
    expect(offered("--no")).toEqual(["--no-store"]);
    expect(offered("--output", "")).toEqual(["text", "json", "stream-json"]);
    expect(offered("-o", "st")).toEqual(["stream-json"]);
    expect(offered("completions", "")).toEqual(["bash", "zsh", "fish", "--help"]);
    expect(offered("config", "set", "--json", "")).toContain("--help");
    expect(offered("--template", "/etc/host")).toContain("/etc/hostname");
    // A value is free text: nothing is offered for it.
    expect(offered("-p", "")).toEqual([]);
  });

  for (const [shell, check] of [
    ["zsh", ["zsh", "-n"]],
    ["fish", ["fish", "--no-execute"]],
  ] as const) {
    test.skipIf(Bun.which(shell) === null)(`${shell} parses its script (skipped without ${shell})`, () => {
      const path = `${tmpdir()}/noctem-completions-${process.pid}.${shell}`;
      writeFileSync(path, completionScript(shell, root));
      const child = Bun.spawnSync([...check, path], { stdio: ["ignore", "inherit", "pipe"] });
      rmSync(path);
      expect({ code: child.exitCode, errors: child.stderr.toString() }).toEqual({ code: 0, errors: "" });
    });
  }

  test("every command and option is in every script", () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const script = completionScript(shell, root);
      for (const path of paths(root)) {
        expect(script).toContain(path.at(-1)?.name ?? "");
        for (const [name, spec] of Object.entries(path.at(-1)?.options ?? {}))
          expect(script).toContain(`${shell === "fish" ? "-l " : "--"}${spec.onByDefault ? "no-" : ""}${name}`);
      }
    }
  });
});

test("a bug report holds places in the code and no words of a person", () => {
  const secret = "my secret plan";
  const error = new TypeError(`unreachable: {"text":"${secret}"}`);
  const text = reportText(error, root, ["-p", secret, `--system=${secret}`, "--model", "secret", "-p", "-c secret", "secret"], new Date(0));
  expect(text).not.toContain("secret");
  expect(text).toContain("command: --prompt --system --model --prompt\n");
  expect(reportText(error, root, ["sessions", "show", "3fa9", "--json"], new Date(0))).toContain("command: sessions show --json\n");
  expect(text).toContain("TypeError: unreachable: {…");
  expect(text).toContain("help.test.ts");
});

test("bytes are said as disks are sold", () => {
  expect([0, 999, 1000, 8e6, 98_362_432, 999_600, 4.68e9, 2e12].map(bytesText)).toEqual([
    "0 bytes",
    "999 bytes",
    "1 kB",
    "8 MB",
    "98 MB",
    "1 MB",
    "4.7 GB",
    "2 TB",
  ]);
});
