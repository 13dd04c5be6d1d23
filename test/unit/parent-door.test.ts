/** The door between a person and an approval where there is a parent: PIN, passphrase, wrong tries, and how long it stays open. With a cheap stretching. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ok } from "../../src/lib/result.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { type DoorPlaces, MOST_TRIES, type ParentDoor, parentDoor, UNLOCK_MINUTES } from "../../src/platform/parent-door.ts";
import { makeParentKey, publicLine, unlockParentKey } from "../../src/platform/parent-key.ts";
import { must } from "../support/heart.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

const CHEAP = { memory: 64, passes: 1 };
let dir: TempDir;
let now = 1_000_000_000;
let uptime = 1000;
let boot = "one";
let places: DoorPlaces;
const stick = auditCrypto.ephemeral();
const door = (over: Partial<DoorPlaces> = {}): ParentDoor => parentDoor({ ...places, ...over }, CHEAP);

beforeEach(async () => {
  dir = tempDir();
  const keys = join(dir.path, "keys");
  mkdirSync(keys);
  mkdirSync(join(dir.path, "run"), { mode: 0o700 });
  [now, uptime, boot] = [1_000_000_000, 1000, "one"];
  places = {
    keys,
    parentKey: join(keys, "parent.pub"),
    parentSecret: join(keys, "parent.key"),
    runtime: join(dir.path, "run"),
    heart: "ab".repeat(16),
    expected: () => null,
    stick: () => ok(stick),
    now: () => now,
    uptime: () => uptime,
    boot: () => boot,
  };
  const { file, key } = await makeParentKey("noctem-parent", "a passphrase", CHEAP);
  writeFileSync(places.parentSecret, file);
  writeFileSync(places.parentKey, publicLine(key));
});
afterEach(() => dir[Symbol.dispose]());

const setPin = async (pin = "123456"): Promise<void> => {
  must(await door().setPin(must(await unlockParentKey(places.parentSecret, "a passphrase")), pin));
};

describe("the door", () => {
  test("is opened by the passphrase, by a PIN, and by nothing else", async () => {
    expect(door().state()).toEqual({ kind: "locked", ways: ["passphrase"] });
    expect(await door().try("a passphrase")).toEqual(ok("passphrase"));
    await setPin();
    expect(door().state()).toEqual({ kind: "locked", ways: ["pin", "passphrase"] });
    expect(await door().try("123456")).toEqual(ok("pin"));
    for (const wrong of ["123457", "", "A passphrase"]) {
      expect(await door().try(wrong)).toMatchObject({ ok: false, error: { kind: "wrong" } });
      now += 3_600_000;
    }
    // What is written holds neither.
    for (const name of ["parent-pin.json", "parent.key", "parent-tries.json"])
      expect(readFileSync(join(places.keys, name), "utf8")).not.toContain("123456");
  });

  test("has no lock where there is no parent, and stays shut where the key cannot be read", () => {
    writeFileSync(places.parentKey, "nonsense");
    expect(door().state().kind).toBe("broken");
    rmSync(places.parentKey);
    expect(door().state().kind).toBe("no-parent");
  });

  test("a parent that the heart knows is not gone with the file, and nobody takes their place", async () => {
    const line = readFileSync(places.parentKey, "utf8").trim();
    expect(door({ expected: () => line }).state().kind).toBe("locked");
    rmSync(places.parentKey);
    expect(door({ expected: () => line }).state()).toMatchObject({ kind: "broken", detail: expect.stringContaining(line) as string });
    expect(await door({ expected: () => line }).try("a passphrase")).toMatchObject({ ok: false, error: { kind: "broken" } });
    writeFileSync(places.parentKey, publicLine({ name: "noctem-parent", publicKey: auditCrypto.ephemeral().publicKey }));
    expect(door({ expected: () => line }).state().kind).toBe("broken");
  });

  test("a PIN that somebody else put there is none", async () => {
    must(await door().setPin(auditCrypto.ephemeral(), "999999"));
    expect(door().state()).toEqual({ kind: "locked", ways: ["passphrase"] });
    expect(await door().try("999999")).toMatchObject({ ok: false, error: { kind: "wrong" } });
    rmSync(places.parentSecret);
    expect(await door().try("999999")).toMatchObject({ ok: false, error: { kind: "broken" } });
  });

  test("wrong tries have to wait, longer each time, and kill the PIN; the passphrase revives it", async () => {
    await setPin();
    const pauses: number[] = [];
    for (let at = 0; at < MOST_TRIES; at++) {
      expect(await door().try("000000")).toMatchObject({ ok: false, error: { kind: "wrong", triesLeft: MOST_TRIES - at - 1 } });
      const { wait } = door().tries();
      pauses.push(wait);
      // Also the right one has to wait, and is not looked at.
      if (wait > 0) expect(await door().try("123456")).toMatchObject({ ok: false, error: { kind: "wait" } });
      now += wait * 1000;
    }
    expect(pauses.slice(0, 5)).toEqual([0, 0, 30, 60, 120]);
    expect(pauses.at(-1)).toBe(3600);
    expect(await door().try("123456")).toMatchObject({ ok: false });
    now += 3_600_000;
    expect(await door().try("a passphrase")).toEqual(ok("passphrase"));
    expect(await door().try("123456")).toEqual(ok("pin"));
    // Without the key on the stick a dead PIN says what is left.
    rmSync(places.parentSecret);
    for (let at = 0; at < MOST_TRIES; at++) {
      await door().try("000000");
      now += 3_600_000;
    }
    expect(await door().try("123456")).toMatchObject({ ok: false, error: { kind: "pin-dead" } });
  });

  test("a try counts before it is looked at, and two at once are one after the other", async () => {
    await setPin();
    const both = await Promise.all([door().try("000000"), door().try("000001")]);
    expect(both.map((result) => (result.ok ? "ok" : result.error.kind)).toSorted()).toEqual(["wait", "wrong"]);
    expect(door().tries().wrong).toBe(1);
    // One that was killed leaves its lock, which holds nobody up.
    writeFileSync(join(places.keys, "parent-tries.lock"), "999999999");
    expect(await door().try("123456")).toEqual(ok("pin"));
    expect(existsSync(join(places.keys, "parent-tries.lock"))).toBe(false);
  });

  test("a count that was damaged is taken for many, and one that cannot be written lets nothing through", async () => {
    await setPin();
    writeFileSync(join(places.keys, "parent-tries.json"), "{");
    expect(await door().try("123456")).toMatchObject({ ok: false });
    rmSync(join(places.keys, "parent-tries.json"));
    mkdirSync(join(places.keys, "parent-tries.json"));
    expect(await door().try("123456")).toMatchObject({ ok: false });
    expect(await door().try("a passphrase")).toMatchObject({ ok: false });
  });

  test("stays open for minutes, by a clock that nobody sets, on this start of this computer, for this stick", async () => {
    must(door().open(5));
    expect(door().state()).toEqual({ kind: "unlocked", left: 300 });
    uptime += 299;
    now -= 10_000_000;
    expect(door().state()).toEqual({ kind: "unlocked", left: 1 });
    uptime += 1;
    expect(door().state().kind).toBe("locked");
    must(door().open(5));
    boot = "two";
    expect(door().state().kind).toBe("locked");
    boot = "one";
    expect(door({ stick: () => ok(auditCrypto.ephemeral()) }).state().kind).toBe("locked");
    expect(door({ heart: "cd".repeat(16) }).state().kind).toBe("locked");
    expect(door().state().kind).toBe("unlocked");
    door().lock();
    expect(door().state().kind).toBe("locked");
  });

  test("a note of an open door that somebody wrote, changed, or that others may write is none", () => {
    must(door().open(5));
    const path = join(places.runtime, `noctem-unlocked-${places.heart.slice(0, 16)}`);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace(/"until":\d+/, `"until":${uptime + 9999}`));
    expect(door().state().kind).toBe("locked");
    writeFileSync(path, text);
    expect(door().state().kind).toBe("unlocked");
    chmodSync(path, 0o666);
    expect(door().state().kind).toBe("locked");
    rmSync(path);
    copyFileSync(places.parentKey, path);
    expect(door().state().kind).toBe("locked");
    must(door().open(100_000));
    expect(door().state()).toEqual({ kind: "unlocked", left: UNLOCK_MINUTES.most * 60 });
  });
});
