/** The embedded libraries on real mounts: the executable loads them, or says which folders it tried and why, and leaves nothing behind. */
import { describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NativeReport } from "../../src/platform/bindtest.ts";
import { binary, cleanEnvironment, run, stickWith, tempDir, type TempDir } from "../support/noctem.ts";
import { canMount, inMounts, loopStick, noStick } from "../support/mounts.ts";

const report = (stdout: string): NativeReport => JSON.parse(stdout) as NativeReport;

/** Runs `noctem __bindtest` where `mounts` were made; without mounts as it is. */
async function load(mounts: readonly string[], program: string, env: Record<string, string> = {}): Promise<NativeReport> {
  const [first = "", ...rest] = inMounts(mounts, [program, "__bindtest"]);
  const result = await run(rest, { program: first, env: { ...cleanEnvironment, HOME: "/nonexistent", ...env }, cwd: "/" });
  expect(result.stderr).toBe("");
  return report(result.stdout);
}

const noexec = (path: string): string => `mount -t tmpfs -o noexec none ${path}`;
/** Every place of the host that would do. `/run/user` may not be there. */
const nowhere = [noexec("/dev/shm"), "[ ! -d /run/user ] || mount -t tmpfs -o noexec none /run/user"];

/** The tests below put a mount over /tmp. */
const outsideTmp = (): TempDir => tempDir("noctem-native-", "/var/tmp");

describe("the embedded libraries", () => {
  test("load from a runtime folder first and leave it empty", async () => {
    using dir = tempDir();
    const result = await run(["__bindtest"], { env: { ...cleanEnvironment, XDG_RUNTIME_DIR: dir.path } });
    expect(report(result.stdout)).toEqual({ ok: true, root: dir.path });
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test("a runtime folder that others can write is passed over", async () => {
    using dir = tempDir();
    chmodSync(dir.path, 0o777);
    const result = await run(["__bindtest"], { env: { ...cleanEnvironment, XDG_RUNTIME_DIR: dir.path } });
    expect(report(result.stdout)).toMatchObject({ ok: true });
    expect(report(result.stdout)).not.toMatchObject({ root: dir.path });
  });

  test.skipIf(!canMount)("fall through a noexec tmpfs and a full one (needs mounts)", async () => {
    using stick = stickWith();
    mkdirSync(join(stick.path, "run"));
    const full = `mount -t tmpfs -o size=1m,mode=0700 none '${stick.path}/run'`;
    const found = await load([noexec("/dev/shm"), full], stick.program, { XDG_RUNTIME_DIR: join(stick.path, "run") });
    expect(found).toMatchObject({ ok: true });
    expect(found).not.toMatchObject({ root: "/dev/shm" });
    expect(found).not.toMatchObject({ root: join(stick.path, "run") });
  });

  test.skipIf(!canMount)("load from the stick itself when the host has no place, and leave nothing there (needs mounts)", async () => {
    using dir = outsideTmp();
    const program = join(dir.path, "noctem");
    copyFileSync(binary(), program);
    expect(await load([...nowhere, noexec("/tmp")], program)).toEqual({ ok: true, root: dir.path });
    expect(readdirSync(dir.path)).toEqual(["noctem"]);
  });

  test.skipIf(!canMount)("noexec everywhere is said as such, with every folder that was tried (needs mounts)", async () => {
    using dir = outsideTmp();
    const program = join(dir.path, "noctem");
    copyFileSync(binary(), program);
    const readOnly = `mount --bind '${dir.path}' '${dir.path}' && mount -o remount,bind,ro '${dir.path}'`;
    const found = await load([...nowhere, noexec("/tmp"), readOnly], program);
    if (found.ok || found.error.kind !== "noexec") throw new Error(JSON.stringify(found));
    const reasons = Object.fromEntries(found.error.tried.map((attempt) => [attempt.root, attempt.reason]));
    expect(reasons).toMatchObject({ "/dev/shm": "noexec", "/tmp": "noexec", [dir.path]: "not-writable" });
  });

  test.skipIf(!canMount)("no room anywhere gives the size that is needed (needs mounts)", async () => {
    using dir = outsideTmp();
    const program = join(dir.path, "noctem");
    copyFileSync(binary(), program);
    const tiny = (path: string): string => `mount -t tmpfs -o size=1m none ${path}`;
    const readOnly = `mount --bind '${dir.path}' '${dir.path}' && mount -o remount,bind,ro '${dir.path}'`;
    const found = await load([tiny("/dev/shm"), nowhere[1] ?? "", tiny("/tmp"), readOnly], program);
    expect(found).toMatchObject({ ok: false, error: { kind: "no-room" } });
    if (!found.ok && found.error.kind === "no-room") expect(found.error.needed).toBeGreaterThan(20e6);
  });

  test("a library that is cut short ends the probing child, not the test's host", async () => {
    using dir = tempDir();
    const library = join(dir.path, "cut.node");
    copyFileSync("/proc/self/exe", library);
    truncateSync(library, 4096);
    const result = await run(["__bindtest", library, "", "vulkan"], { cwd: dir.path });
    expect(result.code === 0 && result.signal === null).toBe(false);
    writeFileSync(library, "not a library");
    expect((await run(["__bindtest", library, "", "vulkan"], { cwd: dir.path })).code).not.toBe(0);
  });
});

for (const kind of ["exfat", "vfat"] as const) {
  const why = noStick(kind);
  test.skipIf(why !== null)(`the program starts and loads its libraries on ${kind}${why === null ? "" : ` (${why})`}`, async () => {
    using stick = loopStick(kind, 300);
    const program = join(stick.path, "noctem");
    copyFileSync(binary(), program);
    expect((await run(["--version"], { program, cwd: stick.path })).code).toBe(0);
    expect(report((await run(["__bindtest"], { program, cwd: stick.path })).stdout)).toMatchObject({ ok: true });
    if (!canMount) return;
    const found = await load([...nowhere, `mount --bind '${stick.path}' /mnt`, noexec("/tmp")], "/mnt/noctem");
    expect(found).toEqual({ ok: true, root: "/mnt" });
    // FUSE keeps the folder of files that were mapped until the next start; nothing is in it.
    const left = readdirSync(stick.path, { recursive: true, encoding: "utf8" }).filter(
      (name) => !/^noctem(-lib-[\w-]+(\/linux-x64)?)?$/.test(name),
    );
    expect(left).toEqual([]);
    await load([...nowhere, `mount --bind '${stick.path}' /mnt`, noexec("/tmp")], "/mnt/noctem");
    expect(readdirSync(stick.path).length).toBeLessThanOrEqual(2);
  });
}
