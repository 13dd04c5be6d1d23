import { describe, expect, test } from "bun:test";
import { assert, property, string } from "fast-check";
import { abilities, type Mount, mountOf, parseMountInfo } from "../../src/platform/filesystem.ts";

const info = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 0 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
41 27 8:17 / /media/ada/MY\\040STICK rw,nosuid,nodev,relatime shared:40 - vfat /dev/sdb1 rw,uid=1000,gid=1000,fmask=0022,showexec,errors=remount-ro
42 27 8:33 / /media/ada/MY\\040STICK2 ro,noexec,relatime - fuseblk /dev/sdc1 rw,user_id=0
43 27 8:49 / /mnt/\\134odd\\012name rw - exfat /dev/sdd1 rw
a line of a later kernel
`;

describe("mountinfo", () => {
  const mounts = parseMountInfo(info);

  test("reads every line that is one, and decodes the escapes", () => {
    expect(mounts.map((mount) => mount.mountPoint)).toEqual([
      "/proc",
      "/",
      "/media/ada/MY STICK",
      "/media/ada/MY STICK2",
      "/mnt/\\odd\nname",
    ]);
    expect(mounts[2]).toMatchObject({ type: "vfat", source: "/dev/sdb1", device: "8:17" });
    expect(mounts[2]?.options.has("showexec")).toBe(true);
    expect(mounts[3]?.options.has("ro")).toBe(true);
  });

  test("the longest mount point wins, at a folder border only", () => {
    expect(mountOf("/media/ada/MY STICK/models/a.gguf", mounts)?.source).toBe("/dev/sdb1");
    expect(mountOf("/media/ada/MY STICK2", mounts)?.source).toBe("/dev/sdc1");
    expect(mountOf("/media/ada/MY STICK3/x", mounts)?.source).toBe("/dev/vda");
    expect(mountOf("/process", mounts)?.source).toBe("/dev/vda");
    expect(mountOf("/x", [])).toBeNull();
  });

  test("of two mounts on one point the later one is seen", () => {
    const twice = parseMountInfo("1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /m rw - ext4 /dev/b rw\n3 1 8:3 / /m rw - tmpfs c rw\n");
    expect(mountOf("/m/x", twice)?.source).toBe("c");
  });

  test("any folder name survives the kernel's escaping", () => {
    const escape = (name: string): string => name.replaceAll(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
    const name = string({ unit: "grapheme", minLength: 1 }).filter((s) => !s.includes("/") && !s.includes("\0"));
    assert(
      property(name, (folder) => {
        const parsed = parseMountInfo(`1 0 8:1 / /mnt/${escape(folder)} rw - ext4 /dev/x rw\n`);
        expect(parsed[0]?.mountPoint).toBe(`/mnt/${folder}`);
      }),
    );
  });
});

describe("abilities", () => {
  const mount = (type: string, options: string[] = []): Mount => ({
    mountPoint: "/m",
    type,
    source: "/dev/x",
    device: "8:1",
    options: new Set(options),
  });

  test("FAT ends a file one byte below 4 GiB and has neither links nor modes", () => {
    expect(abilities(mount("vfat", ["showexec"]))).toMatchObject({
      family: "fat",
      maxFileSize: 4_294_967_295,
      permissions: false,
      symlinks: false,
      sockets: false,
      showexec: true,
    });
  });

  test("what udev found inside a FUSE mount counts; without it the weaker kind is assumed", () => {
    expect(abilities(mount("fuseblk"), "ntfs").family).toBe("ntfs");
    expect(abilities(mount("fuseblk"), "exfat")).toMatchObject({ family: "exfat", symlinks: false, maxFileSize: Infinity });
    expect(abilities(mount("fuseblk")).family).toBe("exfat");
  });

  test("a disk of the host has everything", () => {
    expect(abilities(mount("ext4", ["noexec", "ro"]))).toMatchObject({
      family: "unix",
      permissions: true,
      sockets: true,
      noexec: true,
      readOnly: true,
    });
  });
});
