/** The engine of the executable itself, in its cage: looked at from the host, while it answers. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { NO_CAGE } from "../support/cage.ts";
import { writeTinyModel } from "../support/gguf.ts";
import { canMount, inMounts } from "../support/mounts.ts";
import { cleanEnvironment, run, type Stick, stickWith, tempDir } from "../support/noctem.ts";

const shelf = tempDir();
const env = { ...cleanEnvironment, NOCTEM_THREADS: "1" };
let says: Stick;
let talks: Stick;
beforeAll(() => {
  says = stickWith({ models: [writeTinyModel(join(shelf.path, "says.gguf"), { says: ["Hello", " there."] })] });
  const endless = { contextLength: 131_072, says: ["tick ", "tock "], afterwards: { repeatFrom: 0 } } as const;
  talks = stickWith({ models: [writeTinyModel(join(shelf.path, "ticks.gguf"), endless)] });
});
afterAll(() => {
  for (const dir of [says, talks, shelf]) dir[Symbol.dispose]();
});

const parentOf = (pid: string): number => Number(/^PPid:\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

/** All below a process that are started by `argument`. */
function below(root: number, argument: string): readonly number[] {
  const found: number[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/u.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      let at = Number(pid);
      for (let up = 0; up < 6 && at > 1 && at !== root; up++) at = parentOf(String(at));
      if (at === root && words[1] === argument) found.push(Number(pid));
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

const ALL = ["user", "pid", "net", "mnt", "ipc", "uts", "cgroup"] as const;

describe.skipIf(NO_CAGE !== null)(`the engine's cage${NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`}`, () => {
  test("it is in namespaces of its own, filtered, without privileges; killed with its host it is gone", async () => {
    const host = Bun.spawn([talks.program, "-p", "Go on", "--no-store"], { env, cwd: "/", stdio: ["ignore", "pipe", "ignore"] });
    try {
      // It answers, so the engine runs.
      const reader = host.stdout.getReader();
      expect(new TextDecoder().decode((await reader.read()).value)).toContain("tick");
      const [engine = 0, ...more] = below(host.pid, "__engine");
      expect(more).toEqual([]);
      expect(engine).toBeGreaterThan(0);
      const namespace = (pid: number | "self", name: string): string => readlinkSync(`/proc/${pid}/ns/${name}`);
      expect(ALL.filter((name) => namespace(engine, name) === namespace("self", name))).toEqual([]);
      const status = readFileSync(`/proc/${engine}/status`, "utf8");
      for (const line of [/^NoNewPrivs:\s+1$/mu, /^Seccomp:\s+2$/mu, /^CapEff:\s+0+$/mu, /^CapBnd:\s+0+$/mu]) expect(status).toMatch(line);
      const mounts = readFileSync(`/proc/${engine}/mountinfo`, "utf8");
      expect(mounts).toContain(` ${talks.models} ro,`);
      expect(mounts).not.toContain(`${talks.path} `);
      expect(readdirSync(`/proc/${engine}/root${talks.path}`).toSorted()).toEqual(["models", "noctem"]);
      expect(readdirSync(join("/proc", `${engine}`, "root"))).not.toContain("root");
      host.kill("SIGKILL");
      await host.exited;
      for (let tries = 0; tries < 200 && below(host.pid, "__engine").length + (alive(engine) ? 1 : 0) > 0; tries++) await Bun.sleep(25);
      expect(alive(engine)).toBe(false);
    } finally {
      host.kill("SIGKILL");
      await host.exited;
    }
  }, 60_000);

  test("the level stands with the answer: in json, in the conversation, in words", async () => {
    const asked = await run(["-p", "Hi", "-o", "json", "--verbose"], { env, program: says.program });
    const { cage, session } = JSON.parse(asked.stdout) as { cage: string; session: string };
    expect(cage).toBe("namespaces");
    expect(asked.stderr).toContain("engine in a cage of its own: no network, no file but the models");
    const shown = await run(["sessions", "show", session, "--json"], { env, program: says.program });
    expect(JSON.parse(shown.stdout)).toMatchObject({ messages: [{}, { reply: { cage: "namespaces" } }] });
  }, 60_000);

  test.skipIf(!canMount)(
    "without bubblewrap the answer comes all the same, and everything says that there was no cage",
    async () => {
      const hidden = ["/usr/bin/bwrap", "/usr/local/bin/bwrap"].map((path) => `[ ! -e ${path} ] || mount --bind /dev/null ${path}`);
      const [program = "", ...args] = inMounts(hidden, [says.program, "-p", "Hi", "-o", "json", "--verbose"]);
      const asked = await run(args, { env, program: Bun.which(program) ?? program });
      expect(JSON.parse(asked.stdout)).toMatchObject({ answer: "Hello there.", cage: "none" });
      expect(asked.stderr).toMatch(/engine without a cage: .*(Bubblewrap|bwrap)/u);
    },
    60_000,
  );
});

const alive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/mu.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};
