/** What is in memory, when the engine that held it is replaced. */
import { describe, expect, test } from "bun:test";
import { ModelPool } from "../../../src/agent/pool.ts";
import type { EngineError, LoadRequest, ModelEngine } from "../../../src/engine/port.ts";
import { err, ok } from "../../../src/lib/result.ts";
import type { PlannedModel } from "../../../src/models/port.ts";

const NEVER = new AbortController().signal;
const DEATH: EngineError = { kind: "crashed", exitCode: null, signal: "SIGKILL", detail: "" };
const REPLACED: EngineError = { kind: "unavailable", detail: "another takes its place" };

/** Loads are answered by hand. */
function setUp() {
  const loads: { readonly path: string; answer(result: "ok" | EngineError): void }[] = [];
  let restarted: (cause: EngineError) => void = () => undefined;
  const engine = {
    load: ({ path }: LoadRequest) =>
      new Promise((resolve) =>
        loads.push({ path, answer: (result) => resolve(result === "ok" ? ok({ handle: `${path} ${loads.length}` }) : err(result)) }),
      ),
    onRestart(listener: (cause: EngineError) => void) {
      restarted = listener;
      return () => undefined;
    },
  } as unknown as ModelEngine;
  const listener = { loading: () => undefined, loaded: () => undefined, failed: () => undefined };
  const pool = new ModelPool(engine, listener, null);
  const acquire = (path: string) =>
    pool.acquire({ path, contextSize: 512, gpu: "off", template: null, threads: null } as PlannedModel, NEVER);
  return { pool, loads, acquire, restart: (cause: EngineError) => restarted(cause) };
}

describe("models in memory", () => {
  test("a death empties it, what was on its way included", async () => {
    const { acquire, loads, restart } = setUp();
    const [one, two] = [acquire("/one"), acquire("/two")];
    loads[0]?.answer("ok");
    await one;
    restart(DEATH);
    loads[1]?.answer(DEATH);
    expect(await two).toMatchObject({ ok: false });
    void acquire("/one");
    void acquire("/two");
    expect(loads.map(({ path }) => path)).toEqual(["/one", "/two", "/one", "/two"]);
  });

  test("a child in the place of another keeps the load that it came for", async () => {
    const { acquire, loads, restart } = setUp();
    const one = acquire("/one");
    loads[0]?.answer("ok");
    await one;
    const two = acquire("/two");
    restart(REPLACED);
    loads[1]?.answer("ok");
    const first = await two;
    expect(await acquire("/two")).toEqual(first);
    expect(loads).toHaveLength(2);
    void acquire("/one");
    expect(loads).toHaveLength(3);
  });
});
