/** The cages of Noctem's own children, as plans: what each may see and write, and nothing by accident. */
import { describe, expect, test } from "bun:test";
import { bwrapOptions, innerCommand } from "../../../src/bark/cage/argv.ts";
import { arrange, enginePlan, trainerPlan } from "../../../src/bark/cage/children.ts";
import type { Mount } from "../../../src/bark/cage/types.ts";

const program = { command: ["/stick/noctem", "__engine"], files: ["/stick/noctem", "/stick/packs"] };
const machine = { devices: ["/dev/nvidia0", "/dev/dri"], folders: ["/sys/bus/pci"] };
const none = { devices: [], folders: [] };
const here = (path: string) => ({ path, real: path });
const engine = enginePlan({
  program,
  models: [here("/stick/models"), { path: "/home/u/cache/a.gguf", real: "/data/blob" }],
  machine,
  env: { PATH: "/usr/bin" },
});
const trainer = trainerPlan({
  program,
  bases: [here("/stick/models/base.gguf")],
  dataset: here("/stick/work/examples.jsonl"),
  output: "/stick/adapters/new",
  machine: none,
  env: {},
});
const writable = (mounts: readonly Mount[]): readonly string[] =>
  mounts.flatMap((at) => (at.kind === "read-write" || at.kind === "tmpfs" ? [at.to] : []));
const shown = (mounts: readonly Mount[]): readonly string[] => mounts.map(({ to }) => to);

describe("what each may see", () => {
  test("the engine: itself, models where it looks for them, the machine; it writes nothing", () => {
    expect(shown(engine.mounts)).toEqual([
      "/data/blob",
      "/dev/dri",
      "/dev/nvidia0",
      "/home/u/cache/a.gguf",
      "/stick/models",
      "/stick/noctem",
      "/stick/packs",
      "/sys/bus/pci",
    ]);
    expect(writable(engine.mounts)).toEqual([]);
    expect(engine.mounts.find(({ to }) => to === "/home/u/cache/a.gguf")).toMatchObject({ kind: "read-only", from: "/data/blob" });
  });

  test("the trainer writes one folder and reads the rest", () => {
    expect(writable(trainer.mounts)).toEqual(["/stick/adapters/new"]);
    for (const path of ["/stick/models/base.gguf", "/stick/work/examples.jsonl", "/stick/noctem"])
      expect(trainer.mounts).toContainEqual({ kind: "read-only", from: path, to: path });
  });

  test("none has a network or a workspace", () => {
    for (const plan of [engine, trainer]) expect(plan).toMatchObject({ network: { kind: "none" }, workspace: null, seccomp: "deny" });
  });

  test("no folder of the host's is named in the environment", () => {
    const env = { PATH: "/usr/bin", HOME: "/home/u", TMPDIR: "/home/u/tmp" };
    const plan = enginePlan({ program, models: [], machine: none, env });
    expect(plan.env).toEqual({ PATH: "/usr/bin", HOME: "/home/noctem", TMPDIR: "/tmp", XDG_RUNTIME_DIR: "/tmp" });
  });
});

describe("as options", () => {
  const parts = { etc: [], roots: [], hidden: [] };

  test("a limit that is none is not set; the others are", () => {
    const words = innerCommand(engine).join(" ");
    expect(words).toContain("--rlimit nproc=8192 --rlimit nofile=65536 --rlimit core=0");
    expect(words).not.toMatch(/Infinity|cpu=|as=|fsize=/u);
    expect(words).toEndWith("-- /stick/noctem __engine");
  });

  test("Landlock lets it write where the mounts do, and nowhere else", () => {
    const landlock = (plan: typeof engine): readonly string[] =>
      innerCommand(plan).flatMap((word, at, all) => (word === "--landlock-rw" ? [all[at + 1] ?? ""] : []));
    expect(landlock(engine)).toEqual(["/tmp", "/home/noctem", "/dev", "/proc"]);
    expect(landlock(trainer)).toEqual(["/tmp", "/home/noctem", "/dev", "/proc", "/stick/adapters/new"]);
  });

  test("a GPU's nodes are devices, everything else of the host is read-only", () => {
    const words = bwrapOptions(engine, parts, { seccomp: [4], files: [] });
    expect(words.flatMap((word, at) => (word === "--dev-bind" ? [words[at + 1]] : []))).toEqual(["/dev/dri", "/dev/nvidia0"]);
    expect(words).not.toContain("--bind");
  });
});

describe("arrange", () => {
  const ro = (path: string, from = path): Mount => ({ kind: "read-only", from, to: path });

  test("folders come before what lies in them, and nothing comes twice", () => {
    expect(shown(arrange([ro("/m/a.gguf"), ro("/m"), ro("/m"), ro("/k/b")]))).toEqual(["/k/b", "/m"]);
    // A name that only begins alike is another place.
    expect(shown(arrange([ro("/m"), ro("/m2/x")]))).toEqual(["/m", "/m2/x"]);
  });

  test("a writable folder in a read-only one stays, and so does a file in a writable one", () => {
    const rw: Mount = { kind: "read-write", from: "/m/out", to: "/m/out" };
    expect(shown(arrange([rw, ro("/m"), ro("/m/out/in")]))).toEqual(["/m", "/m/out", "/m/out/in"]);
    expect(arrange([rw, ro("/m")]).map(({ kind }) => kind)).toEqual(["read-only", "read-write"]);
  });

  test("nothing takes the place of what every cage has", () => {
    expect(arrange([ro("/usr/share/ollama/x"), ro("/proc/self/fd/3"), ro("/run/noctem/helper"), ro("/lib64/x")])).toEqual([]);
  });
});
