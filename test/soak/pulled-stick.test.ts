/**
 * A stick pulled while the chat runs: the medium under heart and model dies for real, then comes back. Two ways to make one die: a device-mapper
 * target that turns into errors, and a FUSE file system whose server is killed. The program itself stands elsewhere: code that was
 * never read before the pull cannot be run after it, and no program can help that.
 */
import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeTinyModel } from "../support/gguf.ts";
import { noStick } from "../support/mounts.ts";
import { openPty } from "../support/pty.ts";
import { run, stickWith, tempDir } from "../support/noctem.ts";

interface Medium extends Disposable {
  readonly path: string;
  /** From now on every access fails. */
  pull(): void;
  /** The same stick, in again. */
  putBack(): void;
}

const sh = (command: string): string => {
  const done = Bun.spawnSync(["sh", "-ec", command], { stdio: ["ignore", "pipe", "pipe"], env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
  if (done.exitCode !== 0) throw new Error(`${command}: ${done.stderr.toString().trim()}`);
  return done.stdout.toString().trim();
};

/**
 * exFAT over FUSE: killing its server breaks the connection, which is what a pulled stick looks like from above. Put back it is another device, as
 * a real one is: the kernel would hand out the dead mount again for the old one.
 */
function fuseStick(): Medium {
  const dir = tempDir("noctem-pulled-");
  const path = join(dir.path, "stick");
  mkdirSync(path);
  const image = join(dir.path, "image");
  const devices: string[] = [];
  const plugIn = () => {
    devices.unshift(sh(`losetup -f --show '${image}'`));
    sh(`mount.exfat-fuse ${devices[0]} '${path}'`);
  };
  sh(`truncate -s 64M '${image}' && mkfs.exfat '${image}'`);
  plugIn();
  return {
    path,
    pull: () => {
      for (const pid of sh(`pgrep -f '^mount.exfat-fuse ${devices[0]} ${path}'`).split("\n")) process.kill(Number(pid), "SIGKILL");
    },
    putBack: () => {
      sh(`umount -l '${path}'`);
      plugIn();
    },
    [Symbol.dispose]: () => {
      sh(`umount -l '${path}' || true; losetup -d ${devices.join(" ")} || true`);
      dir[Symbol.dispose]();
    },
  };
}

/** ext4 over device-mapper, whose table is swapped for one that fails. */
function mapperStick(): Medium {
  const dir = tempDir("noctem-pulled-");
  const path = join(dir.path, "stick");
  mkdirSync(path);
  const image = join(dir.path, "image");
  const device = sh(`truncate -s 64M '${image}' && losetup -f --show '${image}'`);
  const sectors = sh(`blockdev --getsz ${device}`);
  const names: string[] = [];
  const plugIn = (first: boolean) => {
    const name = `noctem-${process.pid}-${names.length}`;
    names.unshift(name);
    sh(`echo '0 ${sectors} linear ${device} 0' | dmsetup create ${name}`);
    if (first) sh(`mkfs.ext4 -q /dev/mapper/${name}`);
    sh(`mount /dev/mapper/${name} '${path}'`);
  };
  plugIn(true);
  return {
    path,
    pull: () => {
      sh(
        `echo '0 ${sectors} error' | dmsetup load ${names[0]} && dmsetup suspend --nolockfs --noflush ${names[0]} && dmsetup resume ${names[0]}`,
      );
      sh("echo 3 > /proc/sys/vm/drop_caches");
    },
    putBack: () => {
      sh(`umount -l '${path}'`);
      plugIn(false);
    },
    [Symbol.dispose]: () => {
      sh(
        `umount -l '${path}' || true; for name in ${names.join(" ")}; do dmsetup remove -f $name || true; done; losetup -d ${device} || true`,
      );
      dir[Symbol.dispose]();
    },
  };
}

const noMapper = ((): string | null => {
  try {
    sh("dmsetup version");
    return null;
  } catch {
    return "needs root, dmsetup and device-mapper in the kernel";
  }
})();
const noFuse = noStick("exfat");

const KINDS = [
  ["exFAT over FUSE", noFuse, fuseStick],
  ["ext4 over device-mapper", noMapper, mapperStick],
] as const;
/** When the stick is pulled, counted from the question. */
const MOMENTS_MS = [0, 50, 200, 500, 1500];

describe.each(KINDS)("a stick of %s", (_name, missing, make) => {
  test.skipIf(missing !== null).each(MOMENTS_MS)(
    `pulled %d ms after a question, then put back${missing === null ? "" : ` (${missing})`}`,
    async (moment) => {
      using medium = make();
      using place = stickWith();
      const model = writeTinyModel(join(place.path, "endless.gguf"), {
        says: ["so", " on"],
        afterwards: { repeatFrom: 0 },
        contextLength: 32768,
      });
      const onStick = join(medium.path, "endless.gguf");
      copyFileSync(model, onStick);
      const heart = join(medium.path, "heart.sqlite");
      await using chat = openPty([place.program, "--heart", heart, "--model", onStick, "--context", "16384"], { cwd: place.path });
      await chat.see(/quick endless/u);
      const before = sh(`find '${place.path}' -type f | sort`);
      await chat.type("private question");
      chat.send("\r");
      await Bun.sleep(moment);
      medium.pull();
      await chat.see(/The stick is gone/u, 15_000);
      expect(chat.text()).not.toContain("private");
      expect(sh(`find '${place.path}' -type f | sort`)).toBe(before);
      medium.putBack();
      await chat.see((screen) => !screen.includes("The stick is gone"), 15_000);
      await chat.see(/endless/u);
      await chat.type("second question");
      chat.send("\r");
      await chat.see(/second question/u, 15_000);
      await chat.see(/so onso on/u, 20_000);
      chat.send("\u001b");
      await chat.see(/stopped|failed/u, 15_000);
      const listed = await run(["sessions", "list", "--heart", heart], { program: place.program });
      expect(listed.code).toBe(0);
    },
    90_000,
  );
});
