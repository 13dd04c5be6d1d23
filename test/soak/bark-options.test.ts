/**
 * Every option that a listed program's own help names, tried on a copy-on-write view: whatever the policy allows unasked leaves no file behind and runs
 * nothing that lies in the workspace. The view is thrown away.
 */
import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import compiled from "../../profiles/bark/policy.json";
import { judgeCommand } from "../../src/bark/policy/judge.ts";
import { loadPolicy } from "../../src/bark/policy/load.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { CageRoom, clock, LIMITS, NO_CAGE, sha256 } from "../support/cage.ts";

const MOST_OPTIONS = 150;
/** Short options that no help needs to name. */
const LETTERS = Array.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", (letter) => `-${letter}`);

/** In words of the shell's own, because forking thousands of times is what would take long. The folder is made anew after each find. */
const CHECK = `fresh() { rm -rf /tmp/w; mkdir /tmp/w; cp -p a b x /tmp/w; cd /tmp/w; }
check() { at=$1; set -- * .[!.]*; { read -r one; read -r two; } < a; read -r three < b
[ "$* $one $two $three" = "a b x .[!.]* b 1 a 2 c 3" ] || { echo "$at:$* $one $two $three"; cd "$home"; fresh; }; }
home=$PWD; fresh`;

test.skipIf(NO_CAGE !== null)(
  `no option of a listed program writes a file or runs one${NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`}`,
  async () => {
    const loaded = loadPolicy(compiled, sha256);
    if (!loaded.ok) throw new Error("the compiled policy does not load");
    const { policy } = loaded.value;
    using room = new CageRoom((permits) => hostCage({ permits, clock, sha256, env: process.env }));
    mkdirSync(room.workspace);
    for (const [name, text] of Object.entries({ a: "b 1\na 2\n", b: "c 3\n", x: '#!/bin/sh\ntouch "$(dirname "$0")/ran"\ncat\n' }))
      writeFileSync(join(room.workspace, name), text);
    chmodSync(join(room.workspace, "x"), 0o755);
    const programs = compiled.commands
      .filter(({ outcome }) => outcome === "allow")
      .flatMap((rule) =>
        rule.programs.flatMap((program) => ("first" in rule ? (rule.first ?? []).map((first) => `${program} ${first}`) : [program])),
      )
      .filter((program) => Bun.which(program.split(" ")[0] ?? "") !== null);
    expect(programs.length).toBeGreaterThan(50);
    let tried = 0;
    const wrote: string[] = [];
    for (const program of programs) {
      const help = Bun.spawnSync([...program.split(" "), program.startsWith("git") ? "-h" : "--help"], {
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 5000,
      });
      const named = `${help.stdout.toString()}${help.stderr.toString()}`.match(/(?<![\w-])--?[A-Za-z0-9][\w-]*/g) ?? [];
      const options = [...new Set([...named, ...LETTERS])].slice(0, MOST_OPTIONS);
      const lines = options
        .flatMap((option) => [
          `${program} ${option} a`,
          `${program} ${option} ./x a`,
          `${program} ${option}=./x a`,
          `${program} ${option}./x a b`,
          `${program} a ${option} new`,
          `${program} ${option} new`,
          `${program} a b ${option}`,
          `${program} -- a ${option}`,
        ])
        .filter((line) => judgeCommand(policy, line).outcome === "allow");
      tried += lines.length;
      // The last one is to be found: a run that stopped before it shows nothing.
      const script = [...lines, "touch seen"].map((line, at) => `timeout -k1 1 ${line} < a > /dev/null 2>&1; check ${at}`).join("\n");
      const { out, stopped } = await room.sh(`${CHECK}\n${script}`, {
        writes: true,
        limits: { ...LIMITS, wallMs: 240_000, cpuSeconds: 200, processes: 400 },
      });
      expect(stopped, program).toBeNull();
      const finds = out.trimEnd().split("\n");
      expect(finds.pop(), program).toStartWith(`${lines.length}:`);
      for (const found of finds) {
        const [at = "", ...name] = found.split(":");
        wrote.push(`${lines[Number(at)]} wrote ${name.join(":")}`);
      }
    }
    console.log(`${tried} command lines of ${programs.length} programs`);
    expect(wrote).toEqual([]);
    expect(tried).toBeGreaterThan(5000);
  },
  45 * 60_000,
);
