import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { buildHelper } from "../../scripts/build/helper.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { describeRun } from "../../src/bark/cage/describe.ts";
import { CageRoom, clock, LIMITS, NO_CAGE, sha256 } from "../support/cage.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

describe.skipIf(NO_CAGE !== null)(`a cage${why}`, () => {
  let room: CageRoom;
  const secret = `canary-${crypto.randomUUID()}`;
  beforeAll(() => {
    room = new CageRoom((permits) => hostCage({ permits, clock, sha256, env: { ...process.env, NOCTEM_TEST_SECRET: secret } }));
    mkdirSync(room.workspace);
    writeFileSync(join(room.workspace, "a.txt"), "hello\n");
    writeFileSync(join(room.folder, "canary"), secret);
  });
  afterAll(() => room[Symbol.dispose]());

  test("shows a program its workspace, and of the host's files nothing else", async () => {
    const { code, out } = await room.sh(
      `cat a.txt; cat ${room.folder}/canary /etc/shadow ${homedir()}/.bashrc; ls ${room.folder} /home /mnt /var`,
    );
    expect(out).toStartWith("hello\n");
    expect(out).not.toContain(secret);
    expect(out).toContain("workspace");
    expect(out).not.toContain("canary");
    expect(code).not.toBe(0);
  });

  test("passes on no variable of ours, not even to its first process", async () => {
    process.env["NOCTEM_TEST_SECRET"] = secret;
    try {
      const { out } = await room.sh("env; tr '\\0' '\\n' < /proc/1/environ; tr '\\0' '\\n' < /proc/self/environ");
      expect(out).not.toContain(secret);
      const names = new Set(out.split("\n").map((line) => line.split("=")[0] ?? ""));
      for (const name of ["", "PWD", "_"]) names.delete(name);
      // What git would run by itself is turned off by these; none of them is the person's.
      for (const name of names) if (/^GIT_(?:CONFIG_(?:COUNT|KEY_\d+|VALUE_\d+)|TERMINAL_PROMPT)$/.test(name)) names.delete(name);
      expect([...names].sort((a, b) => (a < b ? -1 : 1))).toEqual([
        "CARGO_NET_OFFLINE",
        "CARGO_NET_RETRY",
        "HOME",
        "LANG",
        "PATH",
        "PIP_RETRIES",
        "TERM",
        "TMPDIR",
        "USER",
        "npm_config_fetch_retries",
      ]);
    } finally {
      delete process.env["NOCTEM_TEST_SECRET"];
    }
  });

  test("writes nothing on the host: what a program wrote is in the view alone, and the view is gone afterwards", async () => {
    const seen: string[] = [];
    const { code } = await room.sh(
      "echo new > b.txt && rm a.txt && mkdir d && echo y > d/c && mv d e",
      { writes: true },
      {
        onView: ({ upper, lower }) => {
          seen.push(...readdirSync(upper).sort(), readFileSync(join(upper, "b.txt"), "utf8"), lower);
          return Promise.resolve();
        },
      },
    );
    expect(code).toBe(0);
    // A deletion is a device in the upper layer.
    expect(seen).toEqual(["a.txt", "b.txt", "e", "new\n", room.workspace]);
    expect(readdirSync(room.workspace)).toEqual(["a.txt"]);
    const { code: refused, err } = await room.sh("echo x > c.txt");
    expect(refused).not.toBe(0);
    expect(err).toContain("Read-only file system");
    expect(readdirSync(room.workspace)).toEqual(["a.txt"]);
  });

  test.each([
    ["root", "touch /x"],
    ["usr", "touch /usr/x"],
    ["etc", "touch /etc/x"],
    ["sysctl", "echo x > /proc/sys/kernel/core_pattern"],
    ["sysrq", "echo b > /proc/sysrq-trigger"],
    ["mount", "mount -t tmpfs x /tmp"],
    ["umount", "umount /proc/sys"],
    ["remount", "mount -o remount,rw /usr"],
    ["user namespace", "unshare -U true"],
    ["mount namespace", "unshare -m true"],
    ["user namespace by clone", "unshare -r id"],
    ["chroot", "chroot / true"],
    ["hostname", "echo other > /proc/sys/kernel/hostname"],
    ["device", "mknod /tmp/d c 1 1"],
    ["raw disk", "cat /dev/vda /dev/sda /dev/mem"],
    ["kernel log", "dmesg"],
    ["network", "exec 3<>/dev/tcp/127.0.0.1/22"],
    ["first process' memory", "dd if=/dev/zero of=/proc/1/mem bs=1 count=1"],
  ])("refuses: %s", async (_name, command) => {
    const { code } = await room.sh(`bash -c '${command}'`);
    expect(code).not.toBe(0);
    expect(readFileSync("/proc/sys/kernel/core_pattern", "utf8")).not.toBe("x\n");
  });

  test("holds no capability and runs under both filters", async () => {
    const { out } = await room.sh("grep -E '^(Cap(Eff|Bnd|Prm|Amb)|NoNewPrivs|Seccomp(_filters)?):' /proc/self/status");
    expect(out.replaceAll("\t", " ").trim().split("\n")).toEqual([
      "CapPrm: 0000000000000000",
      "CapEff: 0000000000000000",
      "CapBnd: 0000000000000000",
      "CapAmb: 0000000000000000",
      "NoNewPrivs: 1",
      "Seccomp: 2",
      "Seccomp_filters: 2",
    ]);
  });

  test.each([
    ["time", "sleep 30", { ...LIMITS, wallMs: 300 }],
    ["output", "yes", LIMITS],
    ["memory", `python3 -c 'x = bytearray(300 << 20); import time; time.sleep(9)'`, { ...LIMITS, memoryBytes: 128 << 20 }],
    ["processes", "for i in $(seq 60); do sleep 9 & done; wait", { ...LIMITS, processes: 20 }],
  ] as const)("is ended when it takes too much: %s", async (stopped, command, limits) => {
    const ran = await room.sh(command, { limits });
    // As an ordinary user the kernel's own limit may be met first; then the command failed.
    if (stopped !== "processes" || ran.stopped !== null) expect(ran.stopped).toBe(stopped);
    expect(ran.code).not.toBe(0);
    expect(ran.out.length + ran.err.length).toBeLessThanOrEqual(limits.outputBytes);
  });

  test("bounds what is written", async () => {
    const small = { ...LIMITS, diskBytes: 4 << 20, fileBytes: 1 << 20 };
    const { out } = await room.sh("head -c 2M /dev/zero > big; head -c 9M /dev/zero > /tmp/big; stat -c %s big /tmp/big", {
      writes: true,
      limits: small,
    });
    expect(out.trim().split("\n").map(Number)).toEqual([1 << 20, 1 << 20]);
    const full = await room.sh("for i in 1 2 3 4 5 6 7 8; do head -c 1M /dev/zero > f$i; done", { writes: true, limits: small });
    expect(full.err).toContain("No space left");
  });

  test("ends with all its processes when it is cancelled", async () => {
    const mark = `noctem-${crypto.randomUUID()}`;
    const abort = new AbortController();
    const script = `bash -c 'exec -a ${mark} sleep 60' & setsid bash -c 'exec -a ${mark} sleep 60' & echo up; wait`;
    let seen: readonly string[] = [];
    const onOutput = (): void => {
      setTimeout(() => {
        seen = alive(mark);
        abort.abort();
      }, 200);
    };
    const { stopped } = await room.sh(script, {}, { signal: abort.signal, onOutput });
    expect(stopped).toBe("cancelled");
    expect(seen.length).toBeGreaterThan(1);
    expect(alive(mark)).toEqual([]);
  });

  test("ends when Noctem is killed, also with a program that wants to live on", async () => {
    const mark = `noctem-${crypto.randomUUID()}`;
    const lives = `import ctypes,os,time
l=ctypes.CDLL(None); l.prctl(1,0,0,0,0)
if os.fork()==0: os.setsid(); l.prctl(1,0,0,0,0)
print("up",flush=True); time.sleep(60)`;
    for (const writes of ["read", "write"]) {
      const child = Bun.spawn([process.execPath, join(import.meta.dir, "../support/cage-child.ts"), room.workspace, writes, mark, lives], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const reader = child.stdout.getReader();
      expect(new TextDecoder().decode((await reader.read()).value)).toContain("up");
      expect(alive(mark).length).toBeGreaterThan(1);
      child.kill("SIGKILL");
      await child.exited;
      for (let tries = 0; tries < 100 && alive(mark).length > 0; tries++) await Bun.sleep(20);
      expect(alive(mark)).toEqual([]);
    }
  });

  test("is not built over a folder that is not the one that was looked at", () => {
    const built = buildHelper();
    const helper = typeof built === "string" ? "" : built.path;
    const { dev, ino } = statSync(room.workspace, { bigint: true });
    const run = (...args: readonly string[]): number =>
      Bun.spawnSync([helper, ...args], { stdio: ["ignore", "ignore", "ignore"] }).exitCode;
    expect(run("inside", "--same", `${room.workspace}:${dev}:${ino}`, "--", "/bin/true")).toBe(0);
    expect(run("inside", "--same", `${room.workspace}:${dev}:${ino + 1n}`, "--", "/bin/true")).toBe(125);
    expect(run("inside", "--same", `${room.workspace}/gone:${dev}:${ino}`, "--", "/bin/true")).toBe(125);
    expect(run("inside", "--same", "nonsense", "--", "/bin/true")).toBe(125);
    expect(run("inside", "--rlimit", "nofile=-1", "--", "/bin/true")).toBe(125);
    expect(run("inside", "--unknown", "x", "--", "/bin/true")).toBe(125);
    expect(run("inside", "--")).toBe(125);
  });

  test("is not built over a link, whatever it leads to", async () => {
    const link = join(room.folder, "link");
    symlinkSync(room.workspace, link);
    const plan = room.plan(["/bin/true"], { workspace: link });
    expect(await room.run(plan)).toMatchObject({ ok: false, error: { kind: "refused" } });
    const through = { ...room.plan(["/bin/true"]), mounts: [{ kind: "read-only" as const, from: `${link}/a.txt`, to: "/tmp/a" }] };
    expect(await room.run(through)).toMatchObject({ ok: false, error: { kind: "refused" } });
    const odd = { ...room.plan(["/bin/true"]), mounts: [{ kind: "folder" as const, to: "/tmp/../x" }] };
    expect(await room.run(odd)).toMatchObject({ ok: false, error: { kind: "refused" } });
  });

  test("needs a permit for exactly this", async () => {
    const [plan, other] = [room.plan(["/bin/true"]), room.plan(["/bin/false"])];
    using cage = hostCage({ permits: room.permits, clock, sha256, env: process.env });
    const input = { stdin: null, signal: new AbortController().signal };
    const permit = room.permits.mint(describeRun(plan, null, sha256), clock.now());
    expect(await cage.run(permit, other, input)).toMatchObject({ ok: false, error: { kind: "no-permit", fault: "other-plan" } });
    expect(await cage.run(permit, plan, input)).toMatchObject({ ok: false, error: { kind: "no-permit", fault: "spent" } });
    const again = room.permits.mint(describeRun(plan, null, sha256), clock.now());
    const fed = { ...input, stdin: new TextEncoder().encode("rm -rf /") };
    expect(await cage.run(again, plan, fed)).toMatchObject({ ok: false, error: { kind: "no-permit", fault: "other-plan" } });
    const right = room.permits.mint(describeRun(plan, null, sha256), clock.now());
    expect(await cage.run(right, plan, input)).toMatchObject({ ok: true, value: { code: 0, level: "namespaces" } });
  });

  test("refuses below its floor, with the fix", async () => {
    const host = { level: "landlock", bwrap: null, overlay: null, landlockAbi: 7, detail: "Not here.", fix: "Install it." } as const;
    using cage = hostCage({ permits: room.permits, clock, sha256, env: process.env, host });
    const plan = room.plan(["/bin/true"]);
    const permit = room.permits.mint(describeRun(plan, null, sha256), clock.now());
    expect(await cage.run(permit, plan, { stdin: null, signal: new AbortController().signal })).toEqual({
      ok: false,
      error: { kind: "no-cage", level: "landlock", floor: "namespaces", detail: "Not here.", fix: "Install it." },
    });
  });

  test("reads its input, and tells a program that is not there from a cage that is not", async () => {
    const { out } = await room.sh("tr a-z A-Z", {}, { stdin: new TextEncoder().encode("shout") });
    expect(out).toBe("SHOUT");
    expect(await room.run(room.plan(["/usr/bin/not-there"]))).toMatchObject({ ok: true, value: { code: 127 } });
  });

  test("a hundred at once", async () => {
    const all = await Promise.all(Array.from({ length: 100 }, async (_, i) => (await room.sh(`echo ${i}`)).out));
    expect(all).toEqual(Array.from({ length: 100 }, (_, i) => `${i}\n`));
  });
});

function alive(mark: string): readonly string[] {
  return readdirSync("/proc").filter((pid) => {
    const file = `/proc/${pid}/cmdline`;
    try {
      return /^\d+$/.test(pid) && existsSync(file) && readFileSync(file, "utf8").includes(mark);
    } catch {
      return false;
    }
  });
}
