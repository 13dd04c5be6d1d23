/** Unpacking with a small pack of our own, on folders that misbehave. The real libraries on real mounts: test/e2e/native.test.ts. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cleanEnv } from "../../src/platform/child-env.ts";
import { isStale, ownName } from "../../src/platform/native/owner.ts";
import type { EmbeddedPack } from "../../src/platform/native/pack.ts";
import { nativeRoots, unsafe } from "../../src/platform/native/roots.ts";
import { type NativeHost, unpack } from "../../src/platform/native/unpack.ts";
import { gpuPack, verifyGpuPack } from "../../src/platform/native/gpu-pack.ts";
import { tempDir } from "../support/noctem.ts";

const root = process.getuid?.() === 0;
const sha256 = (data: Uint8Array | string): string => new Bun.CryptoHasher("sha256").update(data).digest("hex");

function makePack(folder: string): EmbeddedPack {
  const files = { "a.so": "first library", "b.so": "the second one" };
  const packed = Bun.zstdCompressSync(Buffer.from(Object.values(files).join("")));
  const path = join(folder, "libs.pack");
  writeFileSync(path, packed);
  let offset = 0;
  const entries = Object.entries(files).map(([name, text]) => {
    const entry = { name, size: text.length, offset };
    offset += text.length;
    return entry;
  });
  return { path, manifest: { sha256: sha256(packed), files: entries } };
}

interface World extends Disposable {
  readonly path: string;
  readonly pack: EmbeddedPack;
  folder(name: string): string;
  host(roots: readonly string[], probe?: (folder: string) => void): NativeHost;
}

function world(): World {
  const dir = tempDir();
  const pack = makePack(dir.path);
  const folder = (name: string): string => {
    mkdirSync(join(dir.path, name), { recursive: true });
    return join(dir.path, name);
  };
  return {
    ...dir,
    pack,
    folder,
    host: (roots, probe = () => {}) => ({ pack, roots: roots.map((path) => ({ path, stick: false })), probe }),
  };
}

describe("unpack", () => {
  test("writes private folders and files that nobody can change, and removes all of it on release", () => {
    using w = world();
    const place = w.folder("place");
    let seen = "";
    const made = unpack(w.host([place], (folder) => (seen = folder)));
    if (!made.ok) throw new Error(made.error.kind);
    expect(seen).toBe(join(made.value.binsDir, "linux-x64"));
    expect(readFileSync(join(seen, "b.so"), "utf8")).toBe("the second one");
    expect(statSync(made.value.binsDir).mode & 0o777).toBe(0o700);
    expect(statSync(seen).mode & 0o777).toBe(0o700);
    expect(statSync(join(seen, "a.so")).mode & 0o777).toBe(0o500);
    made.value.release();
    made.value.release();
    expect(readdirSync(place)).toEqual([]);
  });

  test("goes on to the next folder when one runs no code, and leaves nothing in it", () => {
    using w = world();
    const [first, second] = [w.folder("first"), w.folder("second")];
    using made = expectOk(
      unpack(
        w.host([first, second], (folder) => {
          if (folder.startsWith(first)) throw new Error("libx.so: failed to map segment from shared object");
        }),
      ),
    );
    expect(made.binsDir.startsWith(second)).toBe(true);
    expect(readdirSync(first)).toEqual([]);
  });

  test("names every folder it tried and why", () => {
    using w = world();
    const noexec = w.folder("noexec");
    const open = w.folder("open");
    chmodSync(open, 0o777);
    const tried = unpack(
      w.host([join(w.path, "missing"), open, noexec], () => {
        throw new Error("failed to map segment from shared object");
      }),
    );
    expect(tried).toEqual({
      ok: false,
      error: {
        kind: "noexec",
        tried: [
          { root: join(w.path, "missing"), reason: "unsafe", detail: "is not there" },
          { root: open, reason: "unsafe", detail: "can be written by others" },
          { root: noexec, reason: "noexec", detail: "failed to map segment from shared object" },
        ],
      },
    });
  });

  test("tells libraries that do not load here from folders that run no code", () => {
    using w = world();
    const place = w.folder("place");
    const tried = unpack(
      w.host([place], () => {
        throw new Error("libstdc++.so.6: cannot open shared object file: No such file or directory");
      }),
    );
    expect(tried).toMatchObject({ ok: false, error: { kind: "unloadable", detail: expect.stringContaining("libstdc++.so.6") } });
    expect(readdirSync(place)).toEqual([]);
  });

  test("a pack with one flipped bit, or cut short, is never unpacked", () => {
    using w = world();
    const place = w.folder("place");
    const whole = readFileSync(w.pack.path);
    const flipped = Buffer.from(whole);
    flipped[20] = (flipped[20] ?? 0) ^ 1;
    for (const bad of [flipped, whole.subarray(0, -1), Buffer.alloc(0)]) {
      writeFileSync(w.pack.path, bad);
      expect(unpack(w.host([place]))).toMatchObject({ ok: false, error: { kind: "damaged" } });
    }
    expect(readdirSync(place)).toEqual([]);
  });

  test.skipIf(root)("a folder without write permission is passed over (root writes everywhere)", () => {
    using w = world();
    const locked = w.folder("locked");
    chmodSync(locked, 0o500);
    expect(unpack(w.host([locked]))).toMatchObject({ ok: false, error: { kind: "no-place", tried: [{ reason: "not-writable" }] } });
  });
});

describe("whose folders are safe", () => {
  test("others may write only where the sticky bit keeps ours in place, all the way up", () => {
    using w = world();
    const open = w.folder("open");
    const below = w.folder("open/below");
    chmodSync(open, 0o777);
    expect(unsafe(open)).toBe("can be written by others");
    expect(unsafe(below)).toBe(`lies in ${open}, which others can write`);
    chmodSync(open, 0o1777);
    expect(unsafe(open)).toBeNull();
    expect(unsafe(below)).toBeNull();
  });

  test("a link is judged by where it leads", () => {
    using w = world();
    const open = w.folder("open");
    chmodSync(open, 0o777);
    symlinkSync(open, join(w.path, "link"));
    expect(unsafe(join(w.path, "link"))).toBe("can be written by others");
    writeFileSync(join(w.path, "file"), "");
    expect(unsafe(join(w.path, "file"))).toBe("is not a folder");
  });

  test.skipIf(!root)("another user's folder is never used (needs root)", () => {
    using w = world();
    const theirs = w.folder("theirs");
    chownSync(theirs, 65534, 65534);
    expect(unsafe(theirs)).toBe("belongs to another user");
    expect(unsafe(w.folder("theirs/below"))).toBe(`lies in ${theirs}, which belongs to another user`);
  });

  test("memory comes before disks, the stick last, and a relative path never", () => {
    const roots = nativeRoots({ HOME: "/home/ada", XDG_RUNTIME_DIR: "/run/user/7", XDG_CACHE_HOME: "relative" }, "/media/stick/noctem").map(
      (at) => at.path,
    );
    expect(roots[0]).toBe("/run/user/7");
    expect(roots[1]).toBe("/dev/shm");
    expect(roots.slice(-2)).toEqual(["/home/ada/.cache", "/media/stick"]);
    expect(roots).not.toContain("relative");
  });
});

describe("what a killed process left", () => {
  test("is swept by the next one; what a running process uses, and what is not ours, stays", async () => {
    using w = world();
    const place = w.folder("place");
    const ended = Bun.spawn(["true"]);
    await ended.exited;
    const mine = `${ownName()}abcdef`;
    const dead = mine.replace(`-${process.pid}-`, `-${ended.pid}-`);
    const reused = mine.replace(/-\d+-abcdef$/, "-1-abcdef");
    for (const name of [mine, dead, reused, "noctem-lib-of-somebody", "other"]) mkdirSync(join(place, name));
    expectOk(unpack(w.host([place]))).release();
    expect(readdirSync(place).sort()).toEqual([mine, "noctem-lib-of-somebody", "other"].sort());
  });

  test("is swept also while nobody has waited for the dead process, as in a container without an init", async () => {
    // The sleep that the shell becomes does not know that it has a child.
    const parent = Bun.spawn(["sh", "-c", "true & exec sleep 60"], { stdio: ["ignore", "ignore", "ignore"] });
    try {
      const statOf = (pid: string): string[] => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
      let zombie = "";
      while (zombie === "" || statOf(zombie)[0] !== "Z" || !readFileSync(`/proc/${parent.pid}/comm`, "utf8").startsWith("sleep")) {
        await Bun.sleep(5);
        zombie = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, "utf8").trim();
      }
      const [, space] = /^noctem-lib-(\d+)-/.exec(ownName()) ?? [];
      expect(isStale(`noctem-lib-${space}-${zombie}-${statOf(zombie)[19]}-abcdef`, 0)).toBe(true);
    } finally {
      parent.kill("SIGKILL");
      await parent.exited;
    }
  });

  test("in another PID namespace goes by age alone", () => {
    const foreign = "noctem-lib-1-1-1-abcdef";
    expect(isStale(foreign, 1000)).toBe(false);
    expect(isStale(foreign, 2 * 3_600_000)).toBe(true);
    // A clock in 1970 makes ages negative; then nothing is swept.
    expect(isStale(foreign, -1e12)).toBe(false);
  });

  test("a link with our name is not followed", () => {
    using w = world();
    const place = w.folder("place");
    const precious = w.folder("precious");
    writeFileSync(join(precious, "file"), "");
    symlinkSync(precious, join(place, "noctem-lib-1-1-1-abcdef"));
    utimesSync(precious, 0, 0);
    expectOk(unpack(w.host([place]))).release();
    expect(existsSync(join(precious, "file"))).toBe(true);
  });
});

describe("GPU packs", () => {
  function gpu(
    folder: string,
    change: (manifest: { version: string; files: { path: string; size: number; sha256: string }[] }) => void = () => {},
  ): string {
    const bins = join(folder, "bins/linux-x64-vulkan");
    mkdirSync(bins, { recursive: true });
    writeFileSync(join(bins, "llama-addon.node"), "addon");
    const manifest = { version: "3.22.1", files: [{ path: "linux-x64-vulkan/llama-addon.node", size: 5, sha256: sha256("addon") }] };
    change(manifest);
    writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
    return folder;
  }

  test("a sound pack is used", () => {
    using dir = tempDir();
    expect(verifyGpuPack(gpu(dir.path), "3.22.1")).toEqual({ ok: true, value: join(dir.path, "bins") });
  });

  test("another release, a changed, missing or unlisted file, and a path that leads out are refused", () => {
    const refused = (prepare: (folder: string) => void): unknown => {
      using dir = tempDir();
      prepare(dir.path);
      const result = verifyGpuPack(dir.path, "3.22.1");
      return result.ok ? "used" : result.error.kind;
    };
    expect(refused(() => {})).toBe("absent");
    expect(refused((at) => gpu(at, (m) => (m.version = "3.0.0")))).toBe("other-version");
    expect(refused((at) => writeFileSync(join(gpu(at), "bins/linux-x64-vulkan/llama-addon.node"), "evil!"))).toBe("damaged");
    expect(refused((at) => gpu(at, (m) => m.files.push({ path: "gone.so", size: 1, sha256: sha256("x") })))).toBe("damaged");
    expect(refused((at) => writeFileSync(join(gpu(at), "bins/linux-x64-vulkan/libggml-extra.so"), ""))).toBe("damaged");
    expect(refused((at) => gpu(at, (m) => m.files.push({ path: "../../../etc/passwd", size: 1, sha256: sha256("x") })))).toBe("damaged");
    expect(refused((at) => writeFileSync(join(gpu(at), "manifest.json"), "{"))).toBe("damaged");
  });

  test("a name that is no pack of ours leads nowhere", () => {
    expect(gpuPack("../../etc", "3.22.1")).toEqual({});
    expect(gpuPack("linux-x64-cuda", "3.22.1")).toEqual({});
  });
});

test("a child gets no variable that changes which code it runs", () => {
  const env = {
    PATH: "/bin",
    BUN_BE_BUN: "1",
    BUN_OPTIONS: "--preload=x",
    NODE_OPTIONS: "x",
    GGML_BACKEND_PATH: "/x.so",
    NODE_LLAMA_CPP_GPU: "cuda",
    GGML_VK_VISIBLE_DEVICES: "0",
    GONE: undefined,
  };
  expect(cleanEnv(env)).toEqual({ PATH: "/bin", GGML_VK_VISIBLE_DEVICES: "0" });
});

function expectOk<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}
