/** What a probe's words mean: each wall that is missing is named, and half a report is none. */
import { describe, expect, test } from "bun:test";
import { type CageFacts, missingWalls, NAMESPACES, readProbe } from "../../../src/bark/cage/probe.ts";

const HOST = Object.fromEntries(NAMESPACES.map((name) => [name, `${name}:[1]`]));
const SOUND = [
  "CapPrm:\t0000000000000000",
  "CapEff:\t0000000000000000",
  "CapBnd:\t0000000000000000",
  "CapAmb:\t0000000000000000",
  "NoNewPrivs:\t1",
  "Seccomp:\t2",
  ...NAMESPACES.map((name) => `ns ${name} ${name}:[2]`),
  "interface lo",
  "Max cpu time              30                   30                   seconds   ",
  "Max processes             64                   64                   processes ",
  "Max core file size        0                    0                    bytes     ",
  "userns refused",
  "complete",
];
const read = (lines: readonly string[]): CageFacts => {
  const facts = readProbe(`${lines.join("\n")}\n`, HOST);
  if (facts === null) throw new Error("not whole");
  return facts;
};
const changed = (from: string, to: string): readonly string[] => SOUND.map((line) => (line.startsWith(from) ? to : line));

describe("a probe's report", () => {
  test("of a sound cage lacks nothing", () => {
    expect(missingWalls(read(SOUND), 64)).toEqual([]);
    expect(read(SOUND).limits).toEqual({ "cpu time": "30", processes: "64", "core file size": "0" });
  });

  test("that was cut off is none, whatever it says", () => {
    expect(readProbe(SOUND.slice(0, -1).join("\n"), HOST)).toBeNull();
    expect(readProbe("", HOST)).toBeNull();
  });

  test.each([
    ["a namespace of the host's", changed("ns net", "ns net net:[1]"), "shares namespaces with the host: net"],
    ["a namespace that it does not name", SOUND.filter((line) => !line.startsWith("ns pid")), "pid"],
    ["an interface", [...SOUND, "interface eth0"], "a network: lo, eth0"],
    ["privileges to be had", changed("NoNewPrivs", "NoNewPrivs:\t0"), "privileges"],
    ["no filter", changed("Seccomp", "Seccomp:\t0"), "filter"],
    ["a status that is not there", SOUND.filter((line) => !line.startsWith("Seccomp")), "filter"],
    ["a capability in force", changed("CapEff", "CapEff:\t0000000000200000"), "capabilities"],
    ["a capability to be had", changed("CapBnd", "CapBnd:\t000001ffffffffff"), "capabilities"],
    ["a writable root", [...SOUND, "written"], "write to the root"],
    ["settings of the kernel", [...SOUND, "kernel"], "settings of the kernel"],
    ["a secret", [...SOUND, "secret"], "outside of its view"],
    ["namespaces", changed("userns", "userns made"), "namespaces of its own"],
    ["a trial of namespaces that said nothing", changed("userns", "userns "), "namespaces of its own"],
    ["a bus", [...SOUND, "bus"], "D-Bus"],
    [
      "no limit of processes",
      changed("Max processes", "Max processes             unlimited            unlimited            processes"),
      "processes",
    ],
    ["a core file", changed("Max core", "Max core file size        unlimited            unlimited            bytes"), "dumped"],
  ] as const)("names %s", (_, lines, words) => {
    const missing = missingWalls(read(lines), 64);
    expect(missing).toHaveLength(1);
    expect(missing[0]).toContain(words);
  });
});
