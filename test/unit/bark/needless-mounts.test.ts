/** Which mounts of the host a cage has nothing of. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { needless } from "../../../src/platform/cage/devices.ts";

/** Of places, each as PLACE or PLACE=KIND. */
const table = (...places: readonly string[]): string =>
  places
    .map((place, index) => {
      const [at = "", kind = "sysfs"] = place.split("=");
      return `${index + 20} 1 0:${index} / ${at} rw,relatime shared:1 - ${kind} none rw\n`;
    })
    .join("");

describe("mounts that are let go of", () => {
  test("hold none of the sources and lie in none of them", () => {
    const host = table(
      "/",
      "/proc",
      "/sys",
      "/sys/fs/cgroup",
      "/dev",
      "/dev/shm",
      "/home",
      "/mnt/stick",
      "/mnt/other",
      "/usr/local",
      "/w/inner",
    );
    expect(needless(host, ["/usr", "/proc", "/dev", "/home/me/work", "/mnt/stick/w", "/w"])).toEqual(["/sys", "/mnt/other"]);
  });

  test("are the kernel's own, and images: a disk may hold what starts the cage", () => {
    expect(
      needless(table("/", "/mnt=ext4", "/nix=btrfs", "/run=tmpfs", "/snap/x/1=squashfs", "/run/y=nsfs", "/c=cgroup2"), ["/usr"]),
    ).toEqual(["/snap/x/1", "/run/y", "/c"]);
  });

  test("a name that only begins alike is another place", () => {
    expect(needless(table("/", "/w2", "/w"), ["/w"])).toEqual(["/w2"]);
  });

  test("what is mounted twice over the same folder goes twice, and what lies below goes with it", () => {
    expect(needless(table("/", "/a", "/a", "/a/b", "/a/b"), ["/usr"])).toEqual(["/a", "/a"]);
  });

  test("what is spelled oddly stays, and a table that cannot be read lets nothing go", () => {
    expect(needless(table("/", "/my\\040stick", "relative"), ["/usr"])).toEqual([]);
    for (const text of ["", "\n", "20 1", "20 1 0:1 /", " ", "\0"]) expect(needless(text, ["/usr"])).toEqual([]);
  });

  test("never is one of them on the way to a source, or below one", () => {
    const path = fc.array(fc.constantFrom("a", "b", "c", "ab"), { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
    fc.assert(
      fc.property(fc.array(path, { maxLength: 12 }), fc.array(path, { minLength: 1, maxLength: 5 }), (places, sources) => {
        for (const gone of needless(table("/", ...places), sources)) {
          for (const source of sources) {
            expect(`${source}/`.startsWith(`${gone}/`)).toBe(false);
            expect(`${gone}/`.startsWith(source === "/" ? "/" : `${source}/`)).toBe(false);
          }
        }
      }),
    );
  });
});
