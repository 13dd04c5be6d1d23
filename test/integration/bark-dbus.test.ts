/** A cage and the session bus: a real bus, a real filter, and services of the test's own that say whether they were reached. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { DbusRule } from "../../src/bark/cage/dbus.ts";
import type { PermitDesk } from "../../src/bark/monitor/permit.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { CageRoom, clock, NO_CAGE, type Ran, sha256 } from "../support/cage.ts";
import { NO_BUS, startBus, type TestBus } from "../support/dbus.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

const missing = NO_CAGE ?? NO_BUS;
const NAMED = "org.noctem.test.Named";
const OTHER = "org.noctem.test.Other";
/** What a program leaves its cage by, where it reaches it; here the test's own programs by those names. */
const WAYS_OUT = ["org.freedesktop.systemd1", "org.freedesktop.portal.Desktop", "org.freedesktop.portal.Flatpak"];

/** What is hidden altogether is unknown, what is there and not allowed is denied. */
const REFUSED = /AccessDenied|ServiceUnknown/u;

describe.skipIf(missing !== null)(`D-Bus in a cage${missing === null ? "" : ` (skipped: ${missing})`}`, () => {
  let dir: TempDir;
  let bus: TestBus;
  let env: Record<string, string>;
  beforeAll(async () => {
    dir = tempDir("noctem-dbus-");
    bus = await startBus(dir.path, [NAMED, OTHER, ...WAYS_OUT]);
    env = { ...process.env, DBUS_SESSION_BUS_ADDRESS: bus.address };
  });
  afterAll(async () => {
    await bus[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  });

  const room = (some: { readonly busProxy?: string | null } = {}): CageRoom => {
    const made = new CageRoom((permits: PermitDesk) => hostCage({ permits, clock, sha256, env, ...some }));
    mkdirSync(made.workspace);
    return made;
  };
  const inCage = async (script: string, dbus: readonly DbusRule[]): Promise<Ran> => {
    using made = room();
    return await made.sh(script, { dbus });
  };
  const ask = (name: string, method = "org.noctem.test.Ping"): string =>
    `dbus-send --session --print-reply --reply-timeout=3000 --dest=${name} /org/noctem/test ${method} 2>&1`;
  const reached = (): number => [...bus.calls.values()].reduce((sum, members) => sum + members.length, 0);
  const talk: readonly DbusRule[] = [{ name: NAMED, access: "talk" }];

  test("from out here each of them answers: what is refused below is refused by the cage", async () => {
    for (const name of [NAMED, OTHER, ...WAYS_OUT]) {
      const before = reached();
      const sent = Bun.spawn(["sh", "-c", ask(name)], { env, stdio: ["ignore", "pipe", "ignore"] });
      expect(await sent.stdout.text()).toContain("method return");
      expect(reached()).toBe(before + 1);
    }
  });

  test("without a service that is named there is no bus: no socket, no variable, no answer", async () => {
    const before = reached();
    const ran = await inCage(
      `env | grep -i dbus; ls /run/noctem; export DBUS_SESSION_BUS_ADDRESS='${bus.address}'; ${[NAMED, OTHER, ...WAYS_OUT].map((name) => ask(name)).join("; ")}`,
      [],
    );
    expect(ran.out).not.toContain("method return");
    expect(ran.out).toStartWith("helper\n");
    expect(reached()).toBe(before);
  });

  test("the one that is named answers; no other does, whatever name it has", async () => {
    const before = reached();
    expect((await inCage(ask(NAMED), talk)).out).toContain("method return");
    expect(reached()).toBe(before + 1);
    for (const name of [OTHER, ...WAYS_OUT]) expect((await inCage(ask(name), talk)).out).toMatch(REFUSED);
    expect(reached()).toBe(before + 1);
  });

  test("others are not even there: neither their names nor their owners, and none can be taken", async () => {
    const bare = `dbus-send --session --print-reply --dest=org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus`;
    const names = await inCage(`${bare}.ListNames 2>&1`, talk);
    expect(names.out).toContain(NAMED);
    for (const name of [OTHER, ...WAYS_OUT]) expect(names.out).not.toContain(name);
    expect((await inCage(`${bare}.RequestName string:org.noctem.test.Mine uint32:0 2>&1`, talk)).out).toMatch(REFUSED);
    // Past the filter, by the path that the variable had outside.
    const before = reached();
    const direct = await inCage(`export DBUS_SESSION_BUS_ADDRESS='${bus.address}'; ${ask(NAMED)}; ls ${dir.path} /run/user 2>&1`, talk);
    expect(direct.out).not.toContain("method return");
    expect(reached()).toBe(before);
  });

  test("calls may be named one by one", async () => {
    const dbus: readonly DbusRule[] = [{ name: NAMED, access: "call", calls: ["org.noctem.test.Ping@/org/noctem/test"] }];
    expect((await inCage(ask(NAMED), dbus)).out).toContain("method return");
    const before = reached();
    expect((await inCage(ask(NAMED, "org.noctem.test.Erase"), dbus)).out).toContain("AccessDenied");
    expect((await inCage(ask(OTHER), dbus)).out).not.toContain("method return");
    expect(reached()).toBe(before);
  });

  test("the filter is gone with the run", async () => {
    await inCage("true", talk);
    const filters = readdirSync("/proc").filter((pid) => {
      try {
        return (
          /^\d+$/u.test(pid) &&
          readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith("/usr/bin/xdg-dbus-proxy\0") &&
          readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(bus.address)
        );
      } catch {
        return false;
      }
    });
    expect(filters).toEqual([]);
  });

  test("without the filter's program, or a bus, the run is refused and says what to do", async () => {
    using none = room({ busProxy: null });
    expect(await none.run(none.plan(["/bin/true"], { dbus: talk }))).toMatchObject({
      ok: false,
      error: { kind: "no-cage", fix: expect.stringContaining("apt-get install xdg-dbus-proxy") },
    });
    // One that nothing needs is no reason to refuse.
    expect(await none.run(none.plan(["/bin/true"]))).toMatchObject({ ok: true });
    const known = env;
    env = { ...env, DBUS_SESSION_BUS_ADDRESS: `unix:path=${tmpdir()}/noctem-no-bus` };
    using dead = room();
    env = known;
    const ran = await dead.run(dead.plan(["/bin/sh", "-c", ask(NAMED)], { dbus: talk }));
    expect(ran.ok ? new TextDecoder().decode(ran.value.stdout) : ran.error.kind).not.toContain("method return");
    env = { PATH: "/usr/bin" };
    using unset = room();
    env = known;
    expect(await unset.run(unset.plan(["/bin/true"], { dbus: talk }))).toMatchObject({
      ok: false,
      error: { kind: "no-cage", detail: expect.stringContaining("no session bus") },
    });
  });
});
