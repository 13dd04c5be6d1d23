/** `noctem models` on the executable: what a person types, sees and gets back, against servers on the loopback interface. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tinyModel, writeTinyModel } from "../support/gguf.ts";
import { bigModel, modelServer, partialBody, sha256 } from "../support/model-shop.ts";
import { cleanEnvironment, run, stickWith, type RunResult, type Stick, tempDir } from "../support/noctem.ts";

const MIB = 2 ** 20;
const FILE = "qwen2.5-1.5b-instruct-q4_k_m.gguf";
const NAME = "qwen2.5:1.5b-instruct-q4_K_M";
const model = bigModel(40, { says: ["Hello", " there", "!"] });

const models = (stick: Stick, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunResult> =>
  run(["models", ...args], {
    program: stick.program,
    env: { ...cleanEnvironment, NOCTEM_HF_ENDPOINT: "http://127.0.0.1:1", NOCTEM_THREADS: "1", ...env },
  });

describe("models pull", () => {
  test("fetches, checks, greets, and says so on stderr alone", async () => {
    using stick = stickWith();
    using server = modelServer(model);
    const pulled = await models(stick, ["pull", "qwen2.5:1.5b"], { NOCTEM_HF_ENDPOINT: server.url });
    expect(pulled).toMatchObject({ code: 0, stdout: "" });
    expect(pulled.stderr).toContain(`${NAME} is ready (42 MB). SHA-256 ${sha256(model)}`);
    expect(pulled.stderr).toContain("pinned");
    expect(pulled.stderr).not.toContain("\u001b");
    expect(readdirSync(stick.models).sort()).toEqual([FILE, `${FILE}.chunks`, `${FILE}.json`]);
    expect(JSON.parse(readFileSync(join(stick.models, `${FILE}.json`), "utf8"))).toMatchObject({
      greeting: { outcome: "ends" },
    });
    const listed = JSON.parse((await models(stick, ["list", "--json"])).stdout) as { models: { name: string; state: string }[] };
    expect(listed.models[0]).toMatchObject({ name: NAME, state: "ready" });
    expect(await models(stick, ["verify"])).toMatchObject({ code: 0, stdout: `${NAME}: sound\n` });
  });

  test("killed in the middle, it goes on where it was", async () => {
    using stick = stickWith();
    let first = true;
    using server = modelServer(model, {
      intercept: (request) => {
        if (request.method !== "GET" || !first) return undefined;
        first = false;
        return new Response(partialBody(model.subarray(0, 30 * MIB), "stall"), {
          headers: { ETag: '"v1"', "Content-Length": String(model.length) },
        });
      },
    });
    const env = { ...cleanEnvironment, NOCTEM_HF_ENDPOINT: server.url, NOCTEM_THREADS: "1" };
    const child = Bun.spawn([stick.program, "models", "pull", "router"], { env, stdio: ["ignore", "ignore", "ignore"] });
    const state = join(stick.models, `${FILE}.part.json`);
    await waitFor(() => existsSync(state) && (JSON.parse(readFileSync(state, "utf8")) as { safe: number }).safe >= 16 * MIB);
    child.kill("SIGKILL");
    await child.exited;
    expect(existsSync(join(stick.models, FILE))).toBe(false);
    const pulled = await models(stick, ["pull", "router"], { NOCTEM_HF_ENDPOINT: server.url });
    expect(pulled.code).toBe(0);
    const last = server.requests.filter((line) => line.startsWith("GET")).at(-1) ?? "";
    expect(Number(/bytes=(\d+)/u.exec(last)?.[1])).toBeGreaterThanOrEqual(16 * MIB);
    expect(sha256(readFileSync(join(stick.models, FILE)))).toBe(sha256(model));
  }, 60_000);

  test("Ctrl-C ends it with 130, keeps what came and says so", async () => {
    using stick = stickWith();
    using server = modelServer(model, {
      intercept: (request) =>
        request.method === "GET"
          ? new Response(partialBody(model.subarray(0, 20 * MIB), "stall"), {
              headers: { ETag: '"v1"', "Content-Length": String(model.length) },
            })
          : undefined,
    });
    const env = { ...cleanEnvironment, NOCTEM_HF_ENDPOINT: server.url };
    const child = Bun.spawn([stick.program, "models", "pull", "router"], { env, stdio: ["ignore", "ignore", "pipe"] });
    const part = join(stick.models, `${FILE}.part`);
    await waitFor(() => existsSync(part) && statSync(part).size >= 18 * MIB);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await child.stderr.text()).toContain("What came so far is kept");
    expect(existsSync(part)).toBe(true);
  }, 60_000);

  test("what fails ends in its exit code, with a sentence or JSON", async () => {
    using stick = stickWith();
    const unknown = await models(stick, ["pull", "qwen2.5:8b"]);
    expect(unknown.code).toBe(3);
    expect(unknown.stderr).toContain('Did you mean "qwen2.5:7b-instruct-q4_K_M"');
    const offline = await models(stick, ["pull", "router"]);
    expect(offline.code).toBe(8);
    expect(offline.stderr).toContain("connection refused");
    const json = await models(stick, ["pull", "router", "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { kind: "download-failed", code: 8 } });
    using server = modelServer(model, { announce: "0".repeat(64) });
    expect((await models(stick, ["pull", "router"], { NOCTEM_HF_ENDPOINT: server.url })).code).toBe(8);
    expect((await models(stick, ["pull"])).code).toBe(2);
  });
});

describe("models import", () => {
  test("a base model is taken in and said to be one", async () => {
    using stick = stickWith();
    using dir = tempDir();
    const path = writeTinyModel(join(dir.path, "base.gguf"), { template: null });
    const imported = await models(stick, ["import", path]);
    expect(imported.code).toBe(0);
    expect(imported.stderr).toContain("no chat template");
    expect((await models(stick, ["list"])).stdout).toContain("no chat template: a base model");
  });

  test("a model that never ends its answer is named", async () => {
    using stick = stickWith();
    using dir = tempDir();
    const path = writeTinyModel(join(dir.path, "endless.gguf"), { says: ["a", "b", "c"], afterwards: { repeatFrom: 0 } });
    expect((await models(stick, ["import", path])).stderr).toContain("did not end its answer to a greeting");
  });

  test("what Ollama has is listed, and linked in its place", async () => {
    using stick = stickWith();
    using home = tempDir();
    const bytes = tinyModel({ says: ["Hi"] });
    const root = join(home.path, ".ollama/models");
    mkdirSync(join(root, "blobs"), { recursive: true });
    mkdirSync(join(root, "manifests/registry.ollama.ai/library/qwen2.5"), { recursive: true });
    writeFileSync(join(root, "blobs", `sha256-${sha256(bytes)}`), bytes);
    writeFileSync(
      join(root, "manifests/registry.ollama.ai/library/qwen2.5/1.5b"),
      JSON.stringify({ layers: [{ mediaType: "application/vnd.ollama.image.model", digest: `sha256:${sha256(bytes)}` }] }),
    );
    const env = { HOME: home.path };
    expect((await models(stick, ["import"], env)).stdout).toMatch(/^qwen2\.5:1\.5b +\d+ kB +Ollama /u);
    expect(await models(stick, ["import", "qwen2.5:1.5b", "--link"], env)).toMatchObject({ code: 0 });
    expect(readdirSync(stick.models)).toEqual([`${FILE}.json`]);
    const answer = await run(["-p", "Hello", "--no-store"], {
      program: stick.program,
      env: { ...cleanEnvironment, HOME: home.path, NOCTEM_THREADS: "1" },
    });
    expect(answer).toMatchObject({ code: 0, stdout: "Hi\n" });
  }, 60_000);

  test("a file that is none is refused with its reason", async () => {
    using stick = stickWith();
    const refused = await models(stick, ["import", "/etc/hostname"]);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/not a usable GGUF file/u);
    expect((await models(stick, ["import", "nowhere.gguf"])).code).toBe(3);
  });
});

describe("models plan, verify, remove", () => {
  test("the plan works with nothing installed and without a network", async () => {
    using stick = stickWith();
    const plan = await models(stick, ["plan"]);
    expect(plan.code).toBe(0);
    expect(plan.stdout).toMatch(/^qwen2\.5:7b-instruct-q4_K_M \* +4\.7 GB +4096 +4460 +224 +311 /mu);
    expect(plan.stdout).toContain("both tiers together");
    expect(plan.stdout).toContain("Chosen now: nothing.");
    const json = JSON.parse((await models(stick, ["plan", "qwen2.5:7b", "--context", "4096", "--json"])).stdout) as {
      models: { needs: { gpu: { weights: number } }[] }[];
    };
    expect(json.models).toHaveLength(1);
    expect((json.models[0]?.needs[0]?.gpu.weights ?? 0) / MIB).toBeWithin(4085, 4251);
  });

  test("damage is found, told with its exit code, and repaired", async () => {
    using stick = stickWith();
    using server = modelServer(model);
    const env = { NOCTEM_HF_ENDPOINT: server.url };
    await models(stick, ["pull", "router"], env);
    const path = join(stick.models, FILE);
    const bytes = readFileSync(path);
    bytes[20 * MIB] = (bytes[20 * MIB] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const damaged = await models(stick, ["verify"]);
    expect(damaged.code).toBe(4);
    expect(damaged.stdout).toContain("1 of its 5 parts of 8 MiB differ");
    const repaired = await models(stick, ["verify", "--repair"], env);
    expect(repaired).toMatchObject({ code: 0, stdout: expect.stringContaining("1 of its parts of 8 MiB was fetched again") });
    expect(sha256(readFileSync(path))).toBe(sha256(model));
  });

  test("remove asks, and takes everything that belongs to the model", async () => {
    using stick = stickWith();
    writeTinyModel(join(stick.models, "mine.gguf"));
    await models(stick, ["verify", "mine"]);
    expect(await models(stick, ["remove", "mine"])).toMatchObject({ code: 2 });
    expect(existsSync(join(stick.models, "mine.gguf"))).toBe(true);
    expect(await models(stick, ["remove", "mine", "--yes"])).toMatchObject({ code: 0 });
    expect(readdirSync(stick.models)).toEqual([]);
    expect((await models(stick, ["remove", "mine", "--yes"])).code).toBe(3);
  });
});

async function waitFor(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    try {
      if (condition()) return;
    } catch {
      // Half-written; look again.
    }
    await Bun.sleep(20);
  }
  throw new Error("it never came to that");
}
