/** What happens when the engine's process, or the one that started it, does not live as planned. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { engineCommand, spawnEngine } from "../../../src/platform/process.ts";
import { load, say, startEngine, value } from "../../support/engine.ts";
import { writeTinyModel } from "../../support/gguf.ts";

const ROOT = resolve(import.meta.dir, "../../..");
let folder: string;
let endless: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "noctem-survival-"));
  // Long enough that a test always meets it at work.
  endless = writeTinyModel(join(folder, "endless.gguf"), { contextLength: 1 << 20, layers: 4 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LONG = { maxTokens: null } as const;
const context = { contextSize: 100_000 };

/** A process that is gone or a zombie nobody waits for any more. */
const alive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

async function gone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 200; tries++) {
    if (!alive(pid)) return true;
    await Bun.sleep(25);
  }
  return false;
}

const pidOf = (engine: { readonly childPid: number | null }): number => {
  if (engine.childPid === null) throw new Error("no child");
  return engine.childPid;
};

test("killed in the middle of a sentence: that request fails, the next one starts a new child", async () => {
  await using engine = startEngine();
  const restarts: unknown[] = [];
  engine.onRestart((cause) => restarts.push(cause));
  const loaded = await load(engine, endless, context);
  const first = pidOf(engine);
  let killed = false;
  const said = await say(engine, loaded, "hi", {
    ...LONG,
    onChunk: ({ type }) => {
      if (type !== "text" || killed) return;
      killed = true;
      process.kill(first, "SIGKILL");
    },
  });
  expect(said.text).not.toBe("");
  expect(said.result).toMatchObject({ ok: false, error: { kind: "crashed", exitCode: null, signal: "SIGKILL" } });
  expect(restarts).toHaveLength(1);
  expect((await say(engine, loaded, "hi")).result).toEqual({ ok: false, error: { kind: "not-loaded" } });
  const again = await load(engine, endless, context);
  expect(pidOf(engine)).not.toBe(first);
  expect(value((await say(engine, again, "hi", { maxTokens: 2 })).result).tokens.completion).toBe(2);
});

test("a child that died between requests is replaced without anyone noticing but the listeners", async () => {
  await using engine = startEngine();
  await load(engine, endless, { contextSize: 512 });
  const restarted = new Promise((resolveRestart) => engine.onRestart(resolveRestart));
  process.kill(pidOf(engine), "SIGKILL");
  expect(await restarted).toMatchObject({ kind: "crashed", signal: "SIGKILL" });
  await load(engine, endless, { contextSize: 512 });
});

test("a child that stands still is found out and killed", async () => {
  await using engine = startEngine({ limits: { silence: 1500 } });
  const loaded = await load(engine, endless, context);
  const pid = pidOf(engine);
  let stopped = false;
  const said = await say(engine, loaded, "hi", {
    ...LONG,
    onChunk: () => {
      if (!stopped) process.kill(pid, "SIGSTOP");
      stopped = true;
    },
  });
  expect(said.result).toMatchObject({ ok: false, error: { kind: "hung" } });
  expect(await gone(pid)).toBe(true);
});

test("Ctrl-C at the terminal is not the child's business: it leads its own session", async () => {
  await using engine = startEngine();
  const loaded = await load(engine, endless, { contextSize: 512 });
  const pid = pidOf(engine);
  const [, , , , group, session] = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/\(.*\)/, "x")
    .split(" ");
  expect([group, session].map(Number)).toEqual([pid, pid]);
  process.kill(pid, "SIGINT");
  expect(value((await say(engine, loaded, "hi", { maxTokens: 2 })).result).tokens.completion).toBe(2);
});

test("disposing in the middle of a sentence leaves nothing behind", async () => {
  const engine = startEngine();
  const loaded = await load(engine, endless, context);
  const pid = pidOf(engine);
  const said = say(engine, loaded, "hi", LONG);
  await Bun.sleep(50);
  await engine[Symbol.asyncDispose]();
  expect((await said).result).toMatchObject({ ok: false, error: { kind: "unavailable" } });
  expect(await gone(pid)).toBe(true);
});

test("a host killed with -9 leaves no orphan, even while tokens come", async () => {
  const script = join(folder, "host.ts");
  writeFileSync(
    script,
    `import { load, say, startEngine } from ${JSON.stringify(join(ROOT, "test/support/engine.ts"))};
     const engine = startEngine();
     const loaded = await load(engine, ${JSON.stringify(endless)}, ${JSON.stringify(context)});
     let told = false;
     await say(engine, loaded, "hi", { maxTokens: null, onChunk: () => { if (!told) console.log(engine.childPid); told = true; } });`,
  );
  const host = Bun.spawn([process.execPath, script], { stdio: ["ignore", "pipe", "ignore"] });
  const reader = host.stdout.getReader();
  const child = Number(new TextDecoder().decode((await reader.read()).value));
  expect(alive(child)).toBe(true);
  host.kill("SIGKILL");
  await host.exited;
  expect(await gone(child)).toBe(true);
});

test("noise on the child's standard output does no harm", async () => {
  const wrapped = ["/bin/sh", "-c", 'echo "loading libraries..."; printf "half a line"; exec "$@"', "sh", ...engineCommand()];
  await using engine = startEngine({ spawn: () => spawnEngine(wrapped, { PATH: "/usr/bin:/bin", NOCTEM_THREADS: "1" }) });
  await load(engine, endless, { contextSize: 512 });
});

test("a program that is no engine is unavailable, with what it said", async () => {
  await using engine = startEngine({ spawn: () => spawnEngine(["/bin/sh", "-c", "echo error: wrong door >&2; exit 3"]) });
  const loaded = await engine.count("m", []);
  expect(loaded).toEqual({ ok: false, error: { kind: "unavailable", detail: "error: wrong door" } });
  await using absent = startEngine({ spawn: () => spawnEngine([join(folder, "no-such-program")]) });
  expect(await absent.count("m", [])).toMatchObject({ ok: false, error: { kind: "unavailable" } });
  expect(existsSync(join(folder, "no-such-program"))).toBe(false);
});
