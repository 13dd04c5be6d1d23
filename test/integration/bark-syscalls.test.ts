/**
 * Every system call of x86-64, and the two other ways into the kernel, made for real under the filters of each tier, and without them in the same cage: what the
 * kernel did is compared with what the lists say, and a refusal counts as the filter's only where the call would have come to something else without it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LISTS, type List, programPath } from "../../scripts/seccomp/generate.ts";
import { ARCHES } from "../../scripts/seccomp/libseccomp.ts";
import { bwrapOptions, innerCommand } from "../../src/bark/cage/argv.ts";
import type { CagePlan } from "../../src/bark/cage/types.ts";
import { guardDevices } from "../../src/platform/cage/devices.ts";
import { findBwrap } from "../../src/platform/cage/host.ts";
import { unpackParts } from "../../src/platform/cage/parts.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { type Answer, ask } from "../support/bpf.ts";
import { CageRoom, clock, NO_CAGE, sha256 } from "../support/cage.ts";
import { ROOT } from "../support/noctem.ts";

const LAST = 470;
const X32 = 0x4000_0000;
const GETPID = 39;
const GETPID_32 = 20;
/** Kinds of arguments: none that is anything, and all that are nothing. */
const ARGUMENTS = [-1, 0] as const;

const cc = ["cc", "gcc", "clang"].find((name) => Bun.which(name) !== null) ?? null;
const cannot = NO_CAGE ?? (process.arch !== "x64" ? "the numbers are those of x86-64" : cc === null ? "no C compiler" : null);

const program = (list: List): Uint8Array => new Uint8Array(readFileSync(programPath(list, "x64")));
/** What the programs of a tier say together: the stricter answer counts, and of two error numbers that of the program that was put there last. */
function listed(lists: readonly List[], nr: number, arch: number, argument: number): Answer {
  const answers = lists.map((list) => ask(program(list), { nr, arch, args: Array.from({ length: 6 }, () => BigInt(argument)) }));
  return answers.find((answer) => answer === "kill") ?? answers.findLast((answer) => answer !== "allow") ?? "allow";
}
/** As the probe prints it. */
const PRINTED: Readonly<Record<Exclude<Answer, "allow">, string>> = { EPERM: "errno 1", ENOSYS: "errno 38", kill: "killed 31" };

/** What the kernel does whatever a filter says; harmless, and no list can change it. */
const NEVER_ASKED: Readonly<Record<number, string>> = {
  335: "uretprobe: the kernel's own return from a probe; from anywhere else it ends the process",
  336: "uprobe: likewise, it is refused from anywhere but a probe",
};
/** Calls whose outcome is another with a filter that lets them through. */
const OTHERWISE: Readonly<Record<number, string>> = { 317: "seccomp: strict mode cannot be entered where a filter stands" };

type Outcomes = ReadonlyMap<string, string>;

describe.skipIf(cannot !== null)(`system calls, each made${cannot === null ? "" : ` (skipped: ${cannot})`}`, () => {
  let room: CageRoom;
  let probe = "";
  beforeAll(() => {
    room = new CageRoom((permits) => hostCage({ permits, clock, sha256, env: process.env }));
    mkdirSync(room.workspace);
    probe = join(room.workspace, "probe");
    const built = Bun.spawnSync([cc ?? "", "-O1", "-static", "-o", probe, join(ROOT, "test/support/syscall-probe.c")]);
    if (built.exitCode !== 0) throw new Error(built.stderr.toString());
  });
  afterAll(() => room[Symbol.dispose]());

  const planFor = (tier: 1 | 2, argument: number): CagePlan => room.plan([probe, String(argument)], { tier });
  const outcomesOf = (printed: string): Outcomes =>
    new Map(printed.split("\n").flatMap((line) => (line === "" ? [] : [[line.split(" ", 1)[0] ?? "", line.slice(line.indexOf(" ") + 1)]])));

  async function filtered(tier: 1 | 2, argument: number): Promise<Outcomes> {
    const ran = await room.run(planFor(tier, argument));
    if (!ran.ok) throw new Error(JSON.stringify(ran.error));
    return outcomesOf(new TextDecoder().decode(ran.value.stdout));
  }

  /** The same cage by the same options, but for the filters: no plan can ask for that, so it is put together here. */
  async function unfiltered(argument: number): Promise<Outcomes> {
    const parts = unpackParts(process.env);
    if (!parts.ok) throw new Error(parts.error);
    using unpacked = parts.value;
    const plan = planFor(2, argument);
    const whole = { ...plan, mounts: [{ kind: "read-only", from: room.workspace, to: room.workspace } as const] };
    const file = join(unpacked.folder, "args");
    const files = unpacked.files(4);
    writeFileSync(file, `${bwrapOptions(whole, unpacked, { seccomp: [], files }).join("\0")}\0`);
    const child = Bun.spawn(
      [...guardDevices([findBwrap() ?? "", "--args", "3", "--", ...innerCommand(whole)], { plan: whole, parts: unpacked })],
      {
        stdio: ["ignore", "pipe", "inherit", openSync(file, "r"), ...files.map(({ opened }) => opened)],
        env: {},
      },
    );
    for (const { opened } of files) closeSync(opened);
    const printed = await child.stdout.text();
    await child.exited;
    return outcomesOf(printed);
  }

  test.each(ARGUMENTS)(
    "come to what the lists say, in both tiers (arguments: %d)",
    async (argument) => {
      const control = await unfiltered(argument);
      expect(control.size).toBe(LAST + 3);
      // Without a filter nothing of it kills; this is what shows that the control is one.
      expect([...control.values()].filter((outcome) => outcome === PRINTED.kill)).toEqual([]);
      for (const [tier, lists] of [
        [1, ["deny"]],
        [2, LISTS],
      ] as const) {
        const seen = await filtered(tier, argument);
        const wrong: string[] = [];
        const counted = { held: 0, simulated: 0, passed: 0 };
        const compare = (name: string, nr: number, arch: number): void => {
          const says = listed(lists, nr, arch, argument);
          const [got, without] = [seen.get(name) ?? "nothing", control.get(name) ?? "nothing"];
          const wanted = says === "allow" ? without : PRINTED[says];
          if (nr in NEVER_ASKED || (nr in OTHERWISE && says === "allow")) return;
          if (got !== wanted) wrong.push(`tier ${tier}, call ${name}: ${got}, and the lists say ${says} (without a filter: ${without})`);
          if (says === "allow") counted.passed++;
          // The kernel itself answers so: then the program's answer is known from reading it alone.
          else if (without === wanted) counted.simulated++;
          else counted.held++;
        };
        for (let nr = 0; nr <= LAST; nr++) compare(String(nr), nr, ARCHES.x64);
        compare("x32", X32 + GETPID, ARCHES.x64);
        compare("i386", GETPID_32, I386);
        console.log(
          `tier ${tier}, arguments ${argument}: ${counted.held} held by the filter, ${counted.simulated} simulated, ${counted.passed} let through`,
        );
        expect(wrong).toEqual([]);
        expect(counted.held).toBeGreaterThan(tier === 1 ? 30 : 60);
      }
    },
    60_000,
  );
});

/** AUDIT_ARCH_I386. */
const I386 = 0x4000_0003;
