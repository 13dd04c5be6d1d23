/** The suite of attacks on the executable: as whoever runs the tests, as an ordinary user, without user namespaces, and cut short. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { groupsOf } from "../../src/platform/redteam/ends.ts";
import { NO_CAGE } from "../support/cage.ts";
import { cleanEnvironment, run, type RunResult, type Stick, stickWith, tempDir } from "../support/noctem.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;
/** Made up: no account of the host, so nothing that it may do comes from one. */
const ORDINARY = 54_321;
const isRoot = process.geteuid?.() === 0;
const canDrop = isRoot && existsSync("/usr/bin/setpriv");

interface Attack {
  readonly id: string;
  readonly group: string;
  readonly family: string;
  readonly result: string;
  readonly reason: string;
}

describe.skipIf(NO_CAGE !== null)(`noctem bark redteam${why}`, () => {
  let stick: Stick;
  beforeAll(() => {
    stick = stickWith();
    chmodSync(stick.path, 0o755);
  });
  afterAll(() => stick[Symbol.dispose]());

  const judged = ({ stdout, code }: RunResult): readonly Attack[] => {
    const { attacks } = JSON.parse(stdout) as { readonly attacks: readonly Attack[] };
    expect(attacks.filter(({ result }) => result === "open")).toEqual([]);
    expect(attacks.filter(({ result }) => result === "skipped")).toEqual([]);
    expect(code).toBe(0);
    const held = attacks.filter(({ result }) => result === "held");
    expect(new Set(held.map(({ group, family }) => `${group}/${family}`)).size).toBeGreaterThanOrEqual(120);
    expect(new Set(attacks.map(({ id }) => id)).size).toBe(attacks.length);
    return attacks;
  };
  const suite = async (program: string, before: readonly string[], ...options: readonly string[]): Promise<RunResult> =>
    await run([...before, "bark", "redteam", "--json", ...options], { program, cwd: "/", timeout: 170_000 });

  // As root with a group of its own and as a user without one the cage is another: both, where both can be had.
  test(`nothing gets through as ${isRoot ? "root" : "this user"}${canDrop ? ", nor as an ordinary user" : ""}`, async () => {
    const nobody = [`--reuid=${ORDINARY}`, `--regid=${ORDINARY}`, "--clear-groups", stick.program];
    const runs = await Promise.all([suite(stick.program, []), ...(canDrop ? [suite("/usr/bin/setpriv", nobody)] : [])]);
    const [first, ...others] = runs.map((one) => judged(one).map(({ id }) => id));
    for (const other of others) expect(other).toEqual(first ?? []);
  }, 180_000);

  test("without user namespaces everything that needs a cage refuses, and nothing runs", async () => {
    using project = tempDir("noctem-project-");
    const workspace = project.path;
    writeFileSync(join(workspace, "a.txt"), "hello\n");
    const without = async (...args: readonly string[]): Promise<RunResult> =>
      await run(["-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" "$@"', stick.program, ...args], {
        program: "/usr/bin/unshare",
        cwd: workspace,
      });
    const suiteThere = await without("bark", "redteam", "--json");
    expect(suiteThere.code).toBe(11);
    expect(JSON.parse(suiteThere.stdout)).toMatchObject({ error: { kind: "no-cage" } });
    const listed = await without("bark", "run", "--json", "shell", "cat a.txt");
    expect(listed.code).toBe(11);
    expect(listed.stdout).not.toContain("hello");
    // What has to be asked about is not even asked here; what needs no cage goes on.
    expect((await without("bark", "run", "code_exec", "language=bash", "code=touch made")).code).toBe(10);
    expect((await without("bark", "run", "file_ops", "operation=read", "path=a.txt")).stdout).toContain("hello");
    expect(readdirSync(workspace)).toEqual(["a.txt"]);
  });

  test.skipIf(!isRoot)(
    `a stick that is mounted at a second place is no workspace there${isRoot ? "" : " (skipped: only root may mount it)"}`,
    async () => {
      using project = tempDir("noctem-project-");
      const mounted = async (from: string, at: string): Promise<RunResult> =>
        await run(
          [
            "-m",
            "sh",
            "-c",
            'mount --bind "$1" "$2" && cd "$2$3" && exec "$0" bark run file_ops operation=list',
            stick.program,
            from,
            project.path,
            at,
          ],
          {
            program: "/usr/bin/unshare",
            cwd: "/",
          },
        );
      const keys = join(stick.path, "keys");
      expect((await run(["bark", "run", "task_status"], { program: stick.program, cwd: project.path })).code).toBe(0);
      expect(existsSync(keys)).toBe(true);
      for (const from of [stick.path, keys, join(stick.path, "..")]) {
        const tried = await mounted(from, "");
        expect([from, tried.stdout]).toEqual([from, ""]);
        expect([2, 9]).toContain(tried.code);
      }
    },
  );

  test("reaching out of the workspace is written down, though no skill would prepare it", async () => {
    using project = tempDir("noctem-project-");
    const incidents = async (): Promise<number> => {
      const { stdout } = await run(["heart", "status", "--json"], { program: stick.program });
      return (JSON.parse(stdout) as { readonly counts: { readonly incidents: number } }).counts.incidents;
    };
    const call = async (...words: readonly string[]): Promise<number> =>
      (await run(["bark", ...words], { program: stick.program, cwd: project.path })).code;
    expect(await call("run", "task_status")).toBe(0);
    const before = await incidents();
    // Asking what would be decided writes nothing.
    expect(await call("explain", "file_ops", "operation=read", "path=../../etc/shadow")).toBe(9);
    expect(await incidents()).toBe(before);
    expect(await call("run", "file_ops", "operation=read", "path=../../etc/shadow")).toBe(9);
    expect(await incidents()).toBe(before + 1);
  });

  test("Ctrl-C ends it at once and leaves nothing: no process, no folder, no control group", async () => {
    const child = Bun.spawn([stick.program, "bark", "redteam", "--json", "--only", "resources"], {
      cwd: "/",
      env: { ...cleanEnvironment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    // Until a stage stands, and a program in a cage on it.
    const ofIt = (): readonly string[] =>
      [tmpdir(), "/dev/shm"].flatMap((root) =>
        readdirSync(root)
          .filter((name) => new RegExp(`^noctem-lib-\\d+-${child.pid}-`).test(name))
          .map((name) => join(root, name)),
      );
    for (let waited = 0; waited < 200 && (ofIt().length === 0 || marked(child.pid).length === 0); waited++) await Bun.sleep(50);
    expect(marked(child.pid).length).toBeGreaterThan(0);
    child.kill("SIGINT");
    await child.exited;
    expect(child.exitCode).toBe(130);
    for (let waited = 0; waited < 100 && marked(child.pid).length > 0; waited++) await Bun.sleep(50);
    expect(marked(child.pid)).toEqual([]);
    expect(ofIt()).toEqual([]);
    expect(groupsOf(child.pid)).toEqual([]);
  }, 60_000);

  test("a word that no attack knows is an error, a table is for people", async () => {
    expect((await run(["bark", "redteam", "--only", "no-such-thing"], { program: stick.program })).code).toBe(2);
    const { stdout } = await run(["bark", "redteam", "--only", "command parsing"], { program: stick.program });
    expect(stdout).toMatch(/^command parsing +\d+ +\d+ +\d+ +0 +0 +0$/m);
  });
});

/** Processes that name a folder of a process of ours: bubblewrap and the helper do, by the paths that they are given. */
function marked(pid: number): readonly string[] {
  return readdirSync("/proc").filter((entry) => {
    if (!/^\d+$/.test(entry) || entry === String(pid)) return false;
    try {
      return new RegExp(`noctem-lib-\\d+-${pid}-`).test(readFileSync(`/proc/${entry}/cmdline`, "latin1"));
    } catch {
      return false;
    }
  });
}
