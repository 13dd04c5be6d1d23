/** Which services of a session bus a policy may name, and how the filter is told. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import compiled from "../../../profiles/bark/policy.json";
import { bwrapOptions } from "../../../src/bark/cage/argv.ts";
import { DbusRule, dbusLines, proxyOptions } from "../../../src/bark/cage/dbus.ts";
import { commandPlan } from "../../../src/bark/cage/plan.ts";
import { loadPolicy } from "../../../src/bark/policy/load.ts";

const passes = (value: unknown): boolean => v.safeParse(DbusRule, value).success;
const talk = (name: string): unknown => ({ name, access: "talk" });

describe("a rule over a service", () => {
  test.each(["org.example.Service", "com.example.a-b_c.D1"])("may name %s", (name) => expect(passes(talk(name))).toBe(true));

  test.each([
    "",
    "org",
    "org.example.*",
    "*",
    ":1.42",
    "org..example",
    "org.example.Service=x",
    "org.example.Service --talk=org.other",
    "org.example.1st",
    "org.example.Sérvice",
    `org.${"a".repeat(300)}`,
  ])("may not name %p", (name) => expect(passes(talk(name))).toBe(false));

  test.each([
    "org.freedesktop.DBus",
    "org.freedesktop.systemd1",
    "org.freedesktop.portal.Desktop",
    "org.freedesktop.portal.Flatpak",
    "org.freedesktop.impl.portal.PermissionStore",
    "org.freedesktop.secrets",
    "org.freedesktop.Flatpak",
    "org.gnome.Shell",
    "org.gnome.Shell.Extensions",
    "ca.desrt.dconf",
  ])("never names %s, by which a program leaves its cage", (name) => {
    for (const access of ["see", "talk", "own"]) expect(passes({ name, access })).toBe(false);
    expect(passes({ name, access: "call", calls: ["*@/"] })).toBe(false);
  });

  test("a name that only begins alike is another", () => expect(passes(talk("org.freedesktop.systemd1x"))).toBe(true));

  test("single calls are named by interface, method and path", () => {
    const calls = (...rules: readonly string[]): unknown => ({ name: "org.example.Service", access: "call", calls: rules });
    for (const rule of ["org.example.I.Method@/org/example", "org.example.I.*@/*", "*@/org/example", "org.example.I.M@/"])
      expect(passes(calls(rule))).toBe(true);
    for (const rule of [
      "",
      "org.example.I.Method",
      "Method@/",
      "org.example.I.M@org",
      "org.example.I.M@//",
      "org.example.I.M@/a --own=x.y",
    ])
      expect(passes(calls(rule))).toBe(false);
    expect(passes(calls())).toBe(false);
    expect(passes({ ...(talk("org.example.Service") as object), calls: ["*@/"] })).toBe(false);
  });
});

test("the filter is always on, and is told one word a rule", () => {
  const rules: readonly DbusRule[] = [
    { name: "org.example.A", access: "talk" },
    { name: "org.example.B", access: "call", calls: ["org.example.B.Get@/b", "org.example.B.List@/b"] },
  ];
  expect(proxyOptions(rules)).toEqual([
    "--filter",
    "--talk=org.example.A",
    "--call=org.example.B=org.example.B.Get@/b",
    "--call=org.example.B=org.example.B.List@/b",
  ]);
  expect(proxyOptions([])).toEqual(["--filter"]);
  expect(dbusLines(rules)).toEqual([
    "org.example.A: everything it offers",
    "org.example.B: org.example.B.Get@/b",
    "org.example.B: org.example.B.List@/b",
  ]);
});

test("a plan says nothing of a bus that no rule names, and cannot name one by a variable", () => {
  const limits = { wallMs: 1, cpuSeconds: 1, memoryBytes: 1, processes: 1, outputBytes: 1, openFiles: 1, fileBytes: 1, diskBytes: 1 };
  const options = {
    profile: "x",
    tier: 2,
    argv: ["/bin/true"],
    workspace: "/w",
    writes: false,
    network: { kind: "none" },
    limits,
    env: { DBUS_SESSION_BUS_ADDRESS: "unix:path=/evil" },
  } as const;
  expect("dbus" in commandPlan(options)).toBe(false);
  const plan = commandPlan({ ...options, dbus: [{ name: "org.example.A", access: "see" }] });
  const words = bwrapOptions(plan, { etc: [], roots: [], hidden: [] }, { seccomp: [4], files: [] }, null, "/host/bus");
  expect(words.join(" ")).toContain("--setenv DBUS_SESSION_BUS_ADDRESS unix:path=/run/noctem/bus");
  expect(words.join(" ")).not.toContain("/evil");
  expect(words.join(" ")).toContain("--ro-bind /host/bus /run/noctem/bus");
});

test("today's policy names no service, and one that names a way out does not load", () => {
  const hash = (bytes: Uint8Array): Uint8Array => bytes.slice(0, 4);
  expect(Object.values(compiled.skills).filter((skill) => "dbus" in skill)).toEqual([]);
  const naming = (name: string): unknown => ({
    ...compiled,
    skills: { ...compiled.skills, shell: { ...compiled.skills.shell, dbus: [talk(name)] } },
  });
  expect(loadPolicy(naming("org.example.Service"), hash).ok).toBe(true);
  expect(loadPolicy(naming("org.freedesktop.systemd1"), hash).ok).toBe(false);
});
