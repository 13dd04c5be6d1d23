/** The engine inside the executable, over its own pipe: what only holds there, or may be lost on the way into it. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createEngineHost } from "../../src/engine/host.ts";
import { spawnEngine } from "../../src/platform/process.ts";
import { systemTimers } from "../../src/platform/timers.ts";
import { load, say, value } from "../support/engine.ts";
import { writeTinyModel } from "../support/gguf.ts";
import { binary, cleanEnvironment, tempDir } from "../support/noctem.ts";

/**
 * In the executable the libraries' files are gone once they are loaded, and the C source beside the pool is inside the program: neither is so in a
 * run from source.
 */
test("its threads last from token to token and tokens are made ahead, also for a model that is loaded later", async () => {
  using dir = tempDir();
  const path = writeTinyModel(join(dir.path, "says.gguf"), { says: ["Hello", " there", "."] });
  let pid = 0;
  await using engine = createEngineHost({
    spawn: () => {
      const started = spawnEngine([binary(), "__engine"], { ...cleanEnvironment, NOCTEM_THREADS: "2" });
      if (started.ok) ({ pid } = started.value);
      return started;
    },
    timers: systemTimers,
  });
  for (let round = 0; round < 2; round++) {
    const loaded = await load(engine, path);
    expect(loaded.lastingThreads).toBe(true);
    const names = readdirSync(`/proc/${pid}/task`).map((thread) => readFileSync(`/proc/${pid}/task/${thread}/comm`, "utf8").trim());
    expect(names.filter((name) => name === "token-loop")).toHaveLength(1);
    const said = await say(engine, loaded, "hello");
    expect({ text: said.text, stop: value(said.result).stop }).toEqual({ text: "Hello there.", stop: "end" });
    if (round === 0) await engine.unload(loaded.handle);
  }
}, 60_000);
