/** `noctem bark doctor` on hosts that lack something, and on one whose cages leak: it says what its probes found, never what it hoped. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NO_CAGE } from "../support/cage.ts";
import { canMount, inMounts } from "../support/mounts.ts";
import { cleanEnvironment, run, type RunResult, type Stick, stickWith, tempDir, type TempDir } from "../support/noctem.ts";

let stick: Stick;
let dir: TempDir;
beforeAll(() => {
  stick = stickWith();
  dir = tempDir("noctem-doctor-");
});
afterAll(() => {
  stick[Symbol.dispose]();
  dir[Symbol.dispose]();
});

interface Report {
  readonly level: string;
  readonly tiers: readonly { readonly tier: number; readonly works: boolean }[];
  readonly findings: readonly { readonly name: string; readonly state: string; readonly text: string; readonly fix: string | null }[];
  readonly code: number;
}
const report = ({ stdout }: RunResult): Report => JSON.parse(stdout) as Report;
const working = ({ tiers }: Report): readonly number[] => tiers.filter(({ works }) => works).map(({ tier }) => tier);
const finding = ({ findings }: Report, name: string) => {
  const found = findings.find((at) => at.name === name);
  if (found === undefined) throw new Error(`no finding ${name}`);
  return found;
};
const doctor = async (argv: readonly string[]): Promise<RunResult> => {
  const [program = "", ...args] = argv;
  return await run(args, { program: Bun.which(program) ?? program, env: cleanEnvironment });
};
const own = (): readonly string[] => [stick.program, "bark", "doctor", "--json"];
const script = (name: string, text: string): string => {
  const path = join(dir.path, name);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
};

describe.skipIf(NO_CAGE !== null)(`bark doctor${NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`}`, () => {
  test("where all is there, every cage holds, and that is what it ends with", async () => {
    const found = await doctor(own());
    const told = report(found);
    expect(found.code).toBe(0);
    expect(working(told)).toEqual([0, 1, 2, 3]);
    for (const name of ["tier 1", "tier 2", "tier 3", "engine's cage", "trainer's cage", "fetch's cage"]) {
      expect(finding(told, name)).toMatchObject({ state: "ok" });
      expect(finding(told, name).text).toContain("(level namespaces)");
    }
    // A person gets a line for each, and nothing of the probes is left.
    const shown = await run(["bark", "doctor"], { program: stick.program });
    for (const { name, text } of told.findings) expect(shown.stdout).toContain(`${name}: ${text}\n`);
    expect(readdirSync("/var/tmp").filter((name) => name.startsWith("noctem-probe-"))).toEqual([]);
  }, 60_000);

  test("without user namespaces: tiers 2 and 3 are refused, with the fix; a call that is refused is in the log with its level", async () => {
    const off = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"];
    const found = await doctor([...off, ...own()]);
    const told = report(found);
    expect([found.code, told.code]).toEqual([11, 11]);
    expect(working(told)).toEqual([0, 1]);
    expect(told.level).not.toBe("namespaces");
    expect(finding(told, "namespaces").fix).toContain("sysctl user.max_user_namespaces");
    expect(finding(told, "engine's cage")).toMatchObject({ state: "warning" });
    expect(finding(told, "trainer's cage")).toMatchObject({ state: "broken" });

    const refused = await run([...off.slice(1), stick.program, "bark", "run", "shell", "ls"], {
      program: "/usr/bin/unshare",
      cwd: dir.path,
    });
    expect(refused.code).toBe(11);
    expect(refused.stderr).toContain("max_user_namespaces");
    expect(logged()).toContain(`"cage":"${told.level}"`);
    expect((await run(["bark", "run", "shell", "ls"], { program: stick.program, cwd: dir.path })).code).toBe(0);
    expect(logged()).toContain('"cage":"namespaces"');
  }, 60_000);

  test.skipIf(!canMount)(
    `without bubblewrap, and with one that fails${canMount ? "" : " (skipped: no mounts here)"}`,
    async () => {
      const over = (path: string): readonly string[] =>
        ["/usr/bin/bwrap", "/usr/local/bin/bwrap"].map((at) => `[ ! -e ${at} ] || mount --bind ${path} ${at}`);
      const none = report(await doctor(inMounts(over("/dev/null"), own())));
      expect([none.code, working(none)]).toEqual([11, [0, 1]]);
      expect(finding(none, "bubblewrap")).toMatchObject({
        state: "broken",
        text: "not installed",
        fix: expect.stringContaining("install bubblewrap"),
      });

      const failing = script("failing", '#!/bin/sh\necho "bwrap: setting up uid map: Permission denied" >&2\nexit 1\n');
      const broken = report(await doctor(inMounts(over(failing), own())));
      expect([broken.code, working(broken)]).toEqual([11, [0, 1]]);
      expect(finding(broken, "namespaces").text).toContain("setting up uid map: Permission denied");
    },
    60_000,
  );

  test.skipIf(!canMount)(
    `a bubblewrap that leaves something out is found out${canMount ? "" : " (skipped: no mounts here)"}`,
    async () => {
      // The real one, moved aside, gets all options but those that the test takes away.
      const leaky = (name: string, cut: string): string =>
        script(
          name,
          `#!/usr/bin/python3
import os, sys
if "--args" in sys.argv:
    words = os.read(3, 1 << 20).split(b"\\0")[:-1]
    ${cut}
    file = os.memfd_create("args", 0)
    os.write(file, b"".join(word + b"\\0" for word in words))
    os.lseek(file, 0, 0)
    os.dup2(file, 3)
os.execv("${dir.path}/real", sys.argv)
`,
        );
      const cases = [
        [
          "filter",
          'while b"--add-seccomp-fd" in words: at = words.index(b"--add-seccomp-fd"); del words[at:at + 2]',
          "no system call filter",
        ],
        [
          "network",
          'words = [b"--share-net" if word == b"--disable-userns" else word for word in words]',
          "shares namespaces with the host: net",
        ],
        [
          "secret",
          'at = words.index(b"--remount-ro"); words[at:at] = [b"--ro-bind", b"/var/tmp", b"/var/tmp"]',
          "reads files outside of its view",
        ],
      ] as const;
      for (const [name, cut, words] of cases) {
        const wrapper = leaky(name, cut);
        const mounts = [`touch ${dir.path}/real`, `mount --bind /usr/bin/bwrap ${dir.path}/real`, `mount --bind ${wrapper} /usr/bin/bwrap`];
        const told = report(await doctor(inMounts(mounts, own())));
        expect({ name, code: told.code, working: working(told) }).toEqual({ name, code: 11, working: [0] });
        for (const cage of ["tier 2", "tier 3", "engine's cage", "trainer's cage", "fetch's cage"]) {
          expect(finding(told, cage)).toMatchObject({ state: "broken", fix: expect.stringContaining("does not hold") });
          expect(finding(told, cage).text).toContain(words);
        }
      }
    },
    60_000,
  );
});

/** Everything that the stick's heart has written, as bytes. */
const logged = (): string =>
  readdirSync(stick.path)
    .filter((name) => name.startsWith("heart.sqlite"))
    .map((name) => readFileSync(join(stick.path, name), "latin1"))
    .join("");
