/** Cages that stand ready: that runs use them, that they hold as those do that are built whole, and that nothing is done twice or left behind. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildHelper } from "../../scripts/build/helper.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { groupsOf } from "../../src/platform/redteam/ends.ts";
import { CageRoom, clock, LIMITS, NO_CAGE, sha256 } from "../support/cage.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;
const isRoot = process.geteuid?.() === 0;
const SEEN = 3_000;

describe.skipIf(NO_CAGE !== null)(`a cage that stands ready${why}`, () => {
  let room: CageRoom;
  const roomWith = (standby: boolean): CageRoom => {
    const made = new CageRoom((permits) => hostCage({ permits, clock, sha256, env: process.env, standby }));
    mkdirSync(made.workspace);
    writeFileSync(join(made.workspace, "a.txt"), "hello\n");
    return made;
  };
  beforeEach(() => void (room = roomWith(true)));
  afterEach(() => room[Symbol.dispose]());

  const standing = async (): Promise<boolean> => (await room.sh("tr '\\0' ' ' < /proc/1/cmdline")).out.includes("--standby");
  const waiting = (): readonly string[] => childrenOf(process.pid).filter((pid) => commandOf(pid).includes(" standby "));

  test("serves the first run and those after it; what writes, and what reads input, gets one of its own", async () => {
    expect(await standing()).toBe(true);
    expect(await standing()).toBe(true);
    expect((await room.sh("tr '\\0' ' ' < /proc/1/cmdline", { writes: true })).out).not.toContain("--standby");
    const fed = await room.sh("cat; tr '\\0' ' ' < /proc/1/cmdline", {}, { stdin: new TextEncoder().encode("fed ") });
    expect(fed.out).toStartWith("fed ");
    expect(fed.out).not.toContain("--standby");
  });

  test("shows a program what a cage shows that is built whole", async () => {
    using whole = roomWith(false);
    // What is mounted and how, but for the workspace's name, for /dev, which is one file system or several, and for what bubblewrap closes where it is open alone.
    const look = `cut -d' ' -f5,6 /proc/self/mountinfo | grep -v workspace | sed 's/,relatime//; s/,noexec//' | grep -vE '^/(dev|proc/(irq|bus))' | sort -u;
      ls -A / /etc /dev /home /run /usr | grep -v '^core$'; for f in /proc/keys /proc/kallsyms /etc/passwd; do cat $f; done 2>&1; hostname; env | sort; id; pwd; umask; ls -ld /tmp /home/noctem /dev/shm | cut -c1-10;
      df --output=size /tmp /home/noctem /dev/shm; cat a.txt; ls -l /proc/self/fd | wc -l; cat /proc/net/dev | wc -l; ls /sys 2>&1; readlink /etc/localtime; tty`;
    const [ready, anew] = [await room.sh(look), await whole.sh(look)];
    const same = (text: string): readonly string[] => text.replaceAll(room.folder, "F").replaceAll(whole.folder, "F").split("\n");
    expect(same(ready.out)).toEqual(same(anew.out));
    expect(ready.err).toBe(anew.err);
    expect(ready.code).toBe(anew.code);
  });

  test("the network is there for its relay alone, and its own", async () => {
    const { out } = await room.sh("cat /proc/net/route | wc -l; ls /sys/class/net 2>/dev/null; readlink /proc/self/ns/net");
    expect(out).not.toContain(readNamespace("net"));
    expect(out).toStartWith("1\n");
  });

  test("has folders of this plan's size, also where another was expected", async () => {
    const size = async (diskBytes: number): Promise<number> =>
      Number((await room.sh("df -B1 --output=size /tmp | tail -1", { limits: { ...LIMITS, diskBytes } })).out);
    expect(await size(8 << 20)).toBe(8 << 20);
    expect(await size(24 << 20)).toBe(24 << 20);
    expect(await size(24 << 20)).toBe(24 << 20);
  });

  test("a helper that its program kills takes the run with it, and nothing is run a second time", async () => {
    expect(await standing()).toBe(true);
    const ran = await room.run(room.plan(["/bin/sh", "-c", "echo once; kill -9 2; sleep 5; echo on"]));
    if (!ran.ok) throw new Error(JSON.stringify(ran.error));
    expect(new TextDecoder().decode(ran.value.stdout)).toBe("once\n");
    expect(ran.value.code).toBe(137);
    expect(ran.value.wallMs).toBeLessThan(5_000);
  });

  test("when a run is over nothing of it lives, however it was left behind", async () => {
    const mark = String(3_000_000 + Math.trunc(Math.random() * 1e6));
    for (let round = 0; round < 5; round++) {
      const { code } = await room.sh(
        `setsid sleep ${mark} & (sh -c 'trap "" TERM HUP; sleep ${mark} & sleep ${mark}' &); sleep 0.05; exit 7`,
      );
      expect(code).toBe(7);
      expect(processesWith(`sleep ${mark}`)).toEqual([]);
    }
  });

  test("output comes whole, also much of it at the end; limits and a cancel end it", async () => {
    const { out } = await room.sh("head -c 700000 /dev/zero | tr '\\0' x");
    expect(out).toBe("x".repeat(700_000));
    expect((await room.sh("sleep 20", { limits: { ...LIMITS, wallMs: 300 } })).stopped).toBe("time");
    expect((await room.sh("yes", { limits: { ...LIMITS, outputBytes: 10_000 } })).stopped).toBe("output");
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 200);
    expect((await room.sh("sleep 20", {}, { signal: abort.signal })).stopped).toBe("cancelled");
    expect(await standing()).toBe(true);
  });

  test("one that was killed, and words that are too long for one, are no trouble", async () => {
    expect(await standing()).toBe(true);
    await until(() => waiting().length === 1);
    for (const pid of waiting()) process.kill(Number(pid), "SIGKILL");
    expect((await room.sh("cat a.txt")).out).toBe("hello\n");
    const long = "y".repeat(90_000);
    expect((await room.sh(`echo ${long} | wc -c; tr '\\0' ' ' < /proc/1/cmdline`)).out).toStartWith(
      "90001\n/run/noctem/helper inside --rlimit",
    );
    expect((await room.sh("cat a.txt")).out).toBe("hello\n");
  });

  test("leaves no descriptor, no process and no control group", async () => {
    await room.sh("true");
    await until(() => waiting().length === 1);
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    const before = descriptors();
    for (let round = 0; round < 30; round++) await room.sh("true", { writes: round % 10 === 0 });
    // One run's may be on their way out.
    await until(() => waiting().length === 1 && descriptors() <= before + 8);
    expect(waiting()).toHaveLength(1);
    expect(descriptors()).toBeLessThanOrEqual(before + 8);
    room[Symbol.dispose]();
    await until(() => waiting().length === 0);
    expect(waiting()).toEqual([]);
    expect(groupsOf(process.pid)).toEqual([]);
    room = roomWith(true);
  });

  test.skipIf(!isRoot)(
    `a mount that came since is seen: the cage is built again${isRoot ? "" : " (skipped: only root may mount)"}`,
    async () => {
      // In a namespace of its own, so that this computer's mounts stay as they are.
      const child = join(import.meta.dir, "../support/standing-child.ts");
      const ran = Bun.spawnSync(["unshare", "-m", "--propagation", "private", process.execPath, child], {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, ROOM: room.workspace },
      });
      expect(JSON.parse(ran.stdout.toString())).toEqual({ before: "hello\n", ready: true, after: "mounted\n", again: true });
    },
  );

  test("without all of its words a cage that stands begins nothing", () => {
    const built = buildHelper();
    if (typeof built === "string") throw new Error(built);
    const file = join(room.folder, "words");
    const told = (words: string, around: readonly string[]) => {
      writeFileSync(file, words);
      const script = `"$0" inside --standby 6 7 8 9 6< "$1" 7>/dev/null 8>&1 9>&2; exit $?`;
      const ran = Bun.spawnSync([...around, "/bin/sh", "-c", script, built.path, file], { stdio: ["ignore", "pipe", "pipe"] });
      return [ran.exitCode, ran.stdout.toString(), ran.stderr.toString()];
    };
    // The second process of a namespace, as in a cage: the program's end is the end of all of them.
    const inside = ["unshare", "-Urpf"];
    for (const words of ["", "3", "3\0--\0/bin/echo\0", "3\0--\0/bin/echo\0began", "2\0--\0/bin/echo\0began\0"])
      expect(told(words, inside)).toEqual([125, "", "noctem-helper: words that do not end\n"]);
    expect(told("3\0--\0/bin/echo\0began\0", inside)).toEqual([0, "began\n", ""]);
    expect(told("3\0--\0/bin/echo\0began\0", [])).toEqual([125, "", "noctem-helper: not in a cage that stands ready\n"]);
  });
});

const readNamespace = (name: string): string =>
  /\[\d+\]/.exec(Bun.spawnSync(["readlink", `/proc/self/ns/${name}`]).stdout.toString())?.[0] ?? "";

function childrenOf(pid: number): readonly string[] {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && new RegExp(`\\) \\S ${pid} `).test(readFileSync(`/proc/${name}/stat`, "latin1"));
    } catch {
      return false;
    }
  });
}

function commandOf(pid: string): string {
  try {
    return existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ") : "";
  } catch {
    return "";
  }
}

const processesWith = (text: string): readonly string[] =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name) && commandOf(name).startsWith(text));

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + SEEN; !holds() && performance.now() < end;) await Bun.sleep(10);
}
