/** The cages of Noctem's own children on this host: a probe stands in the place of the engine and tries what a hostile model file would. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type DeviceFacts, enginePlan, trainerPlan } from "../../src/bark/cage/children.ts";
import type { ChildPlan } from "../../src/bark/cage/types.ts";
import { err } from "../../src/lib/result.ts";
import { cagedCommand } from "../../src/platform/cage/own.ts";
import { deviceFacts, programFacts, seenPaths } from "../../src/platform/cage/own-facts.ts";
import { probeChild } from "../../src/platform/cage/probe.ts";
import { spawnCagedEngine } from "../../src/platform/process.ts";
import { NO_CAGE } from "../support/cage.ts";
import { load, say, startEngine } from "../support/engine.ts";
import { writeTinyModel } from "../support/gguf.ts";
import { tempDir, type TempDir } from "../support/noctem.ts";

/** What stands in the root of the engine's cage, merged systems and others; `var` leads to the models of this test. */
const EMPTY_ROOT = new Set([
  "bin",
  "dev",
  "etc",
  "home",
  "lib",
  "lib32",
  "lib64",
  "libx32",
  "proc",
  "run",
  "sbin",
  "sys",
  "tmp",
  "usr",
  "var",
]);

// Not below /tmp, which is empty in every cage whatever else it shows.
let dir: TempDir;
let models: string;
let model: string;
beforeAll(() => {
  dir = tempDir("noctem-children-", "/var/tmp");
  models = join(realpathSync(dir.path), "models");
  mkdirSync(models);
  mkdirSync(join(dir.path, "keys"));
  model = writeTinyModel(join(models, "says.gguf"), { says: ["Hello", " there"] });
  for (const name of ["heart.sqlite", "keys/heart.key"]) writeFileSync(join(dir.path, name), "CANARY");
});
afterAll(() => dir[Symbol.dispose]());

const host = {
  machine: deviceFacts({}),
  env: { PATH: "/usr/bin:/bin" },
};
const engine = (command: readonly string[]): ChildPlan =>
  enginePlan({ program: programFacts(command), models: seenPaths([models]), ...host });

/** What a program says that runs in the very cage of `plan`. */
async function inside(plan: ChildPlan): Promise<string> {
  const caged = cagedCommand(plan, {});
  if (!caged.ok) throw new Error(caged.error.detail);
  using cage = caged.value;
  const child = Bun.spawn([...cage.command], { stdio: ["ignore", "pipe", "pipe", ...cage.descriptors], env: {}, cwd: "/" });
  const [out, said] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return out + said;
}

const sh = async (script: string, plan = engine): Promise<string> => await inside(plan(["/bin/sh", "-c", script]));

describe.skipIf(NO_CAGE !== null)(`cages of our own children${NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`}`, () => {
  test("the engine's has all its walls", async () => {
    const found = await probeChild(engine, {});
    expect(found).toMatchObject({
      ok: true,
      value: {
        namespaces: ["user", "pid", "net", "mnt", "ipc", "uts"],
        interfaces: ["lo"],
        noNewPrivileges: true,
        filtered: true,
        powerless: true,
        rootReadOnly: true,
        kernelReadOnly: true,
        secretHidden: true,
        namespacesRefused: true,
        limits: { processes: "8192", "core file size": "0", "cpu time": "unlimited", "address space": "unlimited" },
      },
    });
  });

  test("it reads models; heart, keys, home and the host's accounts are not there", async () => {
    const home = homedir();
    const seen = await sh(
      `cat ${dir.path}/heart.sqlite ${dir.path}/keys/heart.key /etc/shadow; ls -A ${home} ${dir.path} /root /home /var /; head -c 4 ${model}`,
    );
    expect(seen).not.toContain("CANARY");
    expect(seen).toContain("/etc/shadow: No such file");
    // Beside its folder of models, nothing of the stick has even a name.
    expect(seen).toContain(`${dir.path}:\nmodels\nGGUF`);
    const root = /^\/:\n([^]*?)\n\n/mu.exec(seen)?.[1]?.split("\n") ?? [];
    expect(root).toContain("usr");
    expect(root.filter((name) => !EMPTY_ROOT.has(name))).toEqual([]);
  });

  test("a model is not written, replaced or removed", async () => {
    const before = readFileSync(model);
    await sh(`echo evil > ${model}; rm -f ${model}; mv ${model} ${models}/x; touch ${models}/planted.gguf; chmod 777 ${model}`);
    expect(readFileSync(model).equals(before)).toBe(true);
    expect(readdirSync(models)).toEqual(["says.gguf"]);
  });

  test("neither the host's TCP nor its sockets are reached, by path or abstract", async () => {
    let reached = 0;
    const reachedBy = (): number => reached;
    const handlers = { socket: { open: () => void reached++, data: () => undefined } };
    const path = join(dir.path, "host.sock");
    using tcp = Bun.listen({ hostname: "127.0.0.1", port: 0, ...handlers });
    using abstract = Bun.listen({ unix: "\0noctem-children-test", ...handlers });
    using unix = Bun.listen({ unix: path, ...handlers });
    const script = `for (const at of [{ hostname: "127.0.0.1", port: ${tcp.port} }, { unix: "\\0noctem-children-test" }, { unix: "${path}" }]) {
      try { await Bun.connect({ ...at, socket: { data() {} } }); console.log("reached"); } catch { console.log("refused"); }
    }
    process.exit(0);`;
    // The same script reaches them from out here: what is refused below is refused by the cage.
    const outside = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "ignore"] });
    expect(await outside.stdout.text()).toBe("reached\n".repeat(3));
    // Who connected knows it before the listener does.
    for (let waited = 0; reachedBy() < 3 && waited < 5000; waited += 10) await Bun.sleep(10);
    expect(reached).toBe(3);
    expect(await inside(engine([process.execPath, "-e", script]))).toBe("refused\n".repeat(3));
    await Bun.sleep(100);
    expect(reached).toBe(3);
    unix.stop();
    abstract.stop();
  });

  test("the trainer's reads its bases and its examples, and writes its folder", async () => {
    const output = join(realpathSync(dir.path), "out");
    const examples = join(realpathSync(dir.path), "examples.jsonl");
    mkdirSync(output);
    writeFileSync(examples, "{}\n");
    const plan = (command: readonly string[]): ChildPlan =>
      trainerPlan({
        program: programFacts(command),
        bases: seenPaths([model]),
        dataset: { path: examples, real: examples },
        output,
        ...host,
      });
    expect(await probeChild(plan, {})).toMatchObject({
      ok: true,
      value: { interfaces: ["lo"], powerless: true, filtered: true, rootReadOnly: true, secretHidden: true, namespacesRefused: true },
    });
    expect(await sh(`head -c 4 ${model}; cat ${examples}; echo adapter > ${output}/a; cat ${dir.path}/heart.sqlite`, plan)).toStartWith(
      "GGUF{}\n",
    );
    expect(readFileSync(join(output, "a"), "utf8")).toBe("adapter\n");
    await sh(`echo evil > ${examples}; echo evil > ${model}; ln -s ${dir.path}/heart.sqlite ${output}/link`, plan);
    expect(readFileSync(examples, "utf8")).toBe("{}\n");
    expect(await sh(`cat ${output}/link`, plan)).not.toContain("CANARY");
  });

  test("what a GPU's driver needs is there where libraries for one lie beside the program, and otherwise not", async () => {
    const packs = join(dir.path, "packs");
    mkdirSync(join(packs, "linux-x64-vulkan"), { recursive: true });
    const packed = deviceFacts({ LD_LIBRARY_PATH: `/usr/lib:${homedir()}:/:relative` }, packs);
    const without = deviceFacts({}, join(dir.path, "no-packs"));
    expect(without).toMatchObject({ devices: [], packs: false });
    expect(packed.folders).not.toContain(homedir());
    expect(packed.folders).not.toContain("/");
    // Whatever GPU there is or is not: a node that no cage has by itself stands for one.
    const node = ["/dev/kmsg", "/dev/fuse", "/dev/kvm"].find((path) => existsSync(path));
    const machine = { ...packed, devices: [...packed.devices, ...(node === undefined ? [] : [node])] };
    const plan = (facts: DeviceFacts) => (command: readonly string[]) =>
      enginePlan({ program: programFacts(command), models: seenPaths([models]), machine: facts, env: host.env });
    const pci = existsSync("/sys/bus/pci") ? "yes" : "no";
    const look = `[ -e /sys/bus/pci ] && echo yes || echo no; ls /sys/devices/system; [ -c ${node ?? "/dev/null"} ] && echo DEVICE; ls /sys/class/net /sys/fs 2>&1 | grep -c 'No such'`;
    const shown = await sh(look, plan(machine));
    expect(shown).toStartWith(`${pci}\n`);
    expect(shown).toContain("cpu\n");
    expect(shown).toEndWith("DEVICE\n2\n");
    if (node !== undefined) expect(await sh(look, plan(without))).not.toContain("DEVICE");
    expect(await probeChild(plan(machine), {})).toMatchObject({
      ok: true,
      value: { powerless: true, secretHidden: true, rootReadOnly: true },
    });
  });

  test("a model elsewhere on the computer is shown alone, and one that was not known starts another child", async () => {
    const cache = join(realpathSync(dir.path), "cache");
    mkdirSync(join(cache, "snapshots"), { recursive: true });
    const blob = writeTinyModel(join(cache, "blob"), { says: ["Blob"] });
    writeFileSync(join(cache, "token"), "CANARY");
    const link = join(cache, "snapshots/m.gguf");
    symlinkSync("../blob", link);
    const spawned: number[] = [];
    const spawn = (path: string | null) => {
      spawned.push(spawned.length);
      return spawnCagedEngine([models, ...(path === null ? [] : [path])], { env: { PATH: "/usr/bin", NOCTEM_THREADS: "1" } });
    };
    await using own = startEngine({ spawn });
    const first = await load(own, model);
    expect(first.cage).toEqual({ level: "namespaces", reason: "" });
    const restarts: unknown[] = [];
    own.onRestart((cause) => restarts.push(cause));
    const linked = await load(own, link);
    expect((await say(own, linked, "hi")).text).toBe("Blob");
    expect([spawned.length, restarts.length]).toEqual([2, 1]);
    // Both are in sight now, and so is a file that comes into the folder.
    await load(own, writeTinyModel(join(models, "later.gguf"), { says: ["Later"] }));
    expect(spawned).toHaveLength(2);
    expect(existsSync(blob)).toBe(true);
  }, 60_000);

  test("a folder that another took the place of is seen as it is now", async () => {
    const stick = join(realpathSync(dir.path), "stick");
    mkdirSync(stick);
    const path = writeTinyModel(join(stick, "m.gguf"), { says: ["Old"] });
    const spawn = () => spawnCagedEngine([stick], { env: { PATH: "/usr/bin", NOCTEM_THREADS: "1" } });
    await using own = startEngine({ spawn });
    expect((await say(own, await load(own, path), "hi")).text).toBe("Old");
    renameSync(stick, `${stick}.gone`);
    mkdirSync(stick);
    writeTinyModel(path, { says: ["New"] });
    expect((await say(own, await load(own, path), "hi")).text).toBe("New");
  }, 60_000);
});

test.skipIf(NO_CAGE !== null)(
  "what stood ready for a cage is gone when the child speaks, and what a killed host left is swept",
  async () => {
    const ours = (): readonly string[] => readdirSync(dir.path).filter((name) => name.startsWith("noctem-lib-"));
    const env = { XDG_RUNTIME_DIR: dir.path, PATH: "/usr/bin", NOCTEM_THREADS: "1" };
    // Of this PID namespace, and of a process that never was.
    const [space = ""] = /\d+/u.exec(readlinkSync("/proc/self/ns/pid")) ?? [];
    const left = join(dir.path, `noctem-lib-${space}-4194305-1-abcdef`);
    mkdirSync(left);
    writeFileSync(join(left, "helper"), "");
    await using own = startEngine({ spawn: () => spawnCagedEngine([models], { env }) });
    const loaded = await load(own, model);
    expect(loaded.cage?.level).toBe("namespaces");
    expect(ours()).toEqual([]);
  },
  60_000,
);

test("where there is no cage the engine runs, and says that it has none and why", async () => {
  const none = () => err({ level: "none", detail: "Nothing here.", fix: "Buy another." } as const);
  const spawn = () => spawnCagedEngine([models], { cagedCommand: none, env: { PATH: "/usr/bin", NOCTEM_THREADS: "1" } });
  await using own = startEngine({ spawn });
  const loaded = await load(own, model);
  expect(loaded.cage).toEqual({ level: "none", reason: "Nothing here. Buy another." });
  expect((await say(own, loaded, "hi")).text).toBe("Hello there");
}, 60_000);
