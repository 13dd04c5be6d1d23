import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { howToStart, makeStick, type StickSummary } from "../../scripts/stick.ts";
import type { Result } from "../../src/lib/result.ts";
import { abilities, type Filesystem, filesystemOf } from "../../src/platform/filesystem.ts";
import { binary, run, tempDir, type TempDir } from "../support/noctem.ts";
import { loopStick, noStick } from "../support/mounts.ts";

const like = (type: string, options: string[] = [], free = 1e12): Filesystem => ({
  ...abilities({ mountPoint: "/media/ada/STICK", type, source: "/dev/sdb1", device: "8:17", options: new Set(options) }),
  free,
});

/** A build folder with small stand-ins, and an empty stick. */
function scene(): Disposable & { from: string; dest: string; make(filesystem?: Filesystem): Result<StickSummary, string> } {
  const dir: TempDir = tempDir();
  const from = join(dir.path, "dist");
  const dest = join(dir.path, "stick");
  mkdirSync(join(from, "models"), { recursive: true });
  mkdirSync(dest);
  writeFileSync(join(from, "noctem"), "program", { mode: 0o755 });
  writeFileSync(join(from, "models/a.gguf"), "model");
  writeFileSync(join(from, "models/a.gguf.json"), "{}");
  writeFileSync(join(from, "models/b.gguf.part"), "half a download");
  mkdirSync(join(from, "models/.fetch-1"));
  writeFileSync(join(from, "models/.fetch-1/c.gguf"), "half a download");
  writeFileSync(join(from, "heart.sqlite"), "conversations stay where they are");
  const make = (filesystem = like("ext4")): Result<StickSummary, string> => makeStick({ from, dest, filesystem, say: () => {} });
  return { from, dest, make, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

const all = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();

describe("make stick", () => {
  test("copies the program, whole models with what is known of them, and a word for Windows; no heart and no half download", () => {
    using s = scene();
    expect(s.make()).toMatchObject({ ok: true, value: { copied: ["noctem", "models/a.gguf", "models/a.gguf.json"], same: [] } });
    expect(all(s.dest)).toEqual(["WINDOWS-README.txt", "models", "models/a.gguf", "models/a.gguf.json", "noctem"]);
    expect(statSync(join(s.dest, "noctem")).mode & 0o111).toBe(0o111);
    expect(readFileSync(join(s.dest, "WINDOWS-README.txt"), "utf8")).toContain("WSL2");
    expect(readFileSync(join(s.dest, "WINDOWS-README.txt"), "utf8")).not.toMatch(/[^\r]\n/);
  });

  test("a second time copies only what changed, also when size and time did not", () => {
    using s = scene();
    s.make();
    writeFileSync(join(s.dest, "models/a.gguf"), "mODEL");
    expect(s.make()).toMatchObject({ ok: true, value: { copied: ["models/a.gguf"], same: ["noctem", "models/a.gguf.json"] } });
    expect(readFileSync(join(s.dest, "models/a.gguf"), "utf8")).toBe("model");
  });

  test("leaves everything else on the stick as it is", () => {
    using s = scene();
    mkdirSync(join(s.dest, "keys"));
    writeFileSync(join(s.dest, "heart.sqlite"), "mine");
    writeFileSync(join(s.dest, "models.txt"), "mine too");
    mkdirSync(join(s.dest, "models"));
    writeFileSync(join(s.dest, "models/old.gguf"), "kept");
    expect(s.make().ok).toBe(true);
    expect(readFileSync(join(s.dest, "heart.sqlite"), "utf8")).toBe("mine");
    expect(readFileSync(join(s.dest, "models/old.gguf"), "utf8")).toBe("kept");
    expect(existsSync(join(s.dest, "keys"))).toBe(true);
  });

  test("on FAT the program also has the name that the desktop starts", () => {
    using s = scene();
    expect(s.make(like("vfat", ["showexec"]))).toMatchObject({
      ok: true,
      value: { copied: expect.arrayContaining(["noctem", "noctem.exe"]) },
    });
    expect(howToStart("/media/ada/STICK", like("vfat", ["showexec"]))).toContain("./noctem.exe");
    expect(howToStart("/media/ada/STICK", like("vfat"))).toBe("Start it with: cd '/media/ada/STICK' && ./noctem");
  });

  test("a mount that runs nothing is told how to", () => {
    expect(howToStart("/media/ada/IT'S", like("exfat", ["noexec"]))).toContain("mount -o remount,exec");
    expect(howToStart("/media/ada/IT'S", like("exfat", ["noexec"]))).toContain("cd '/media/ada/IT'\\''S'");
  });

  test("a file of 4 GiB is refused for FAT before anything is written, with the way out", () => {
    using s = scene();
    truncateSync(join(s.from, "models/a.gguf"), 2 ** 32);
    const result = s.make(like("vfat"));
    if (result.ok) throw new Error("copied");
    expect(result.error).toContain("models/a.gguf (4.29 GB)");
    expect(result.error).toContain("split into parts");
    expect(all(s.dest)).toEqual([]);
    truncateSync(join(s.from, "models/a.gguf"), 0);
  });

  test("too little room is refused before anything is written, with both figures", () => {
    using s = scene();
    const result = s.make(like("ext4", [], 1000));
    expect(result).toMatchObject({ ok: false, error: "There is room for 0.0 MB, and 1.0 MB are needed. Nothing was written." });
    expect(all(s.dest)).toEqual([]);
  });

  test("a read-only stick and the build's own folder are refused", () => {
    using s = scene();
    expect(s.make(like("ext4", ["ro"]))).toMatchObject({ ok: false, error: "/media/ada/STICK is mounted read-only." });
    expect(makeStick({ from: s.from, dest: s.from, filesystem: like("ext4"), say: () => {} }).ok).toBe(false);
  });

  test("something on the stick that is not a file is not replaced", () => {
    using s = scene();
    mkdirSync(join(s.dest, "models/a.gguf"), { recursive: true });
    expect(s.make()).toMatchObject({ ok: false, error: "models/a.gguf: there is something that is not a file" });
    expect(existsSync(join(s.dest, "models/a.gguf.noctem-part"))).toBe(false);
  });
});

for (const kind of ["exfat", "vfat"] as const) {
  const why = noStick(kind);
  test.skipIf(why !== null)(`a real ${kind} stick is filled, verified and starts${why === null ? "" : ` (${why})`}`, async () => {
    using s = scene();
    using stick = loopStick(kind, 400);
    const filesystem = filesystemOf(stick.path);
    if (!filesystem.ok) throw new Error(filesystem.error.kind);
    expect(filesystem.value).toMatchObject({
      family: kind === "vfat" ? "fat" : "exfat",
      symlinks: false,
      sockets: false,
      permissions: false,
    });
    writeFileSync(join(s.from, "noctem"), readFileSync(binary()), { mode: 0o755 });
    expect(makeStick({ from: s.from, dest: stick.path, filesystem: filesystem.value, say: () => {} })).toMatchObject({ ok: true });
    expect(readdirSync(stick.path)).toContain("noctem");
    expect((await run(["--version"], { program: join(stick.path, "noctem"), cwd: stick.path })).code).toBe(0);
    expect(makeStick({ from: s.from, dest: stick.path, filesystem: filesystem.value, say: () => {} })).toMatchObject({
      ok: true,
      value: { copied: [] },
    });
  });
}
