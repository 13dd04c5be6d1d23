/** What goes wrong on real computers, each on the compiled program: the right sentence, the right exit code, and nothing lost. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { writeTinyModel } from "../support/gguf.ts";
import { canMount, inMounts } from "../support/mounts.ts";
import { cleanEnvironment, run, type RunOptions, stickWith, tempDir } from "../support/noctem.ts";

const shelf = tempDir();
afterAll(() => shelf[Symbol.dispose]());
const says = writeTinyModel(join(shelf.path, "says.gguf"), { says: ["Hello", " there", ", friend", "."] });
/** Never ends its turn: it recites two short pieces for ever, too short for the repetition guard. */
const babble = writeTinyModel(join(shelf.path, "babble.gguf"), {
  says: ["so", " on"],
  afterwards: { repeatFrom: 0 },
  contextLength: 32768,
});
/** Each run is a first run on its host: one thread, so that nothing has to be measured. */
const env = { ...cleanEnvironment, NOCTEM_THREADS: "1" };
const BUG = /stack|at .*\.ts|\bTypeError\b|undefined/u;

const stick = (...models: string[]) => stickWith({ models: models.length > 0 ? models : [says] });
const ask = (program: string, args: readonly string[], options: RunOptions = {}) => run(args, { env, program, ...options });

/** An interface whose other end nobody reads: whatever a program sends is counted and goes nowhere. */
const wayOut = "ip link add out type veth peer name hole";
const canCount = canMount && Bun.spawnSync(["unshare", "-n", "sh", "-c", wayOut], { stderr: "ignore" }).exitCode === 0;

/** Starts a run that answers without end, and resolves once its first words are out. */
async function answering(program: string, args: readonly string[]) {
  const child = Bun.spawn([program, "-p", "go on", "--context", "16384", ...args], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const reader = child.stdout.getReader();
  await reader.read();
  return { child, reader };
}

describe("models", () => {
  const broken = {
    truncated: [{ truncateTo: 0.6 }, 4],
    "of an unknown architecture": [{ metadata: { "general.architecture": { type: "string", value: "nosucharch" } } }, 4],
    "with a template that cannot be parsed": [{ template: "{% for x in %}" }, 4],
    "whose shapes do not fit": [{ shapes: { "token_embd.weight": [64, 99999] } }, 4],
  } as const;
  for (const [name, [options, code]] of Object.entries(broken)) {
    test(`a model ${name} is refused with its name`, async () => {
      using here = stick();
      const path = writeTinyModel(join(here.path, "bad.gguf"), options);
      const { code: got, stdout, stderr } = await ask(here.program, ["-p", "hi", "--model", path]);
      expect({ got, stdout }).toEqual({ got: code, stdout: "" });
      expect(stderr).toContain("bad.gguf");
      expect(stderr).not.toMatch(BUG);
    });
  }

  test("random bytes are not a model", async () => {
    using here = stick();
    const path = join(here.path, "junk.gguf");
    writeFileSync(path, crypto.getRandomValues(new Uint8Array(60_000)));
    const { code, stderr } = await ask(here.program, ["-p", "hi", "--model", path]);
    expect({ code, bug: BUG.test(stderr) }).toEqual({ code: 4, bug: false });
  });

  test("a model that makes llama.cpp abort is an error of the engine, and the program lives to say so", async () => {
    using here = stick();
    const path = writeTinyModel(join(here.path, "abort.gguf"), { metadata: { "llama.attention.head_count": { type: "u32", value: 0 } } });
    const { code, stderr } = await ask(here.program, ["-p", "hi", "--model", path]);
    expect([4, 12]).toContain(code);
    expect(stderr).not.toMatch(BUG);
  });

  test("a missing file and an unknown name say what there is", async () => {
    using here = stick();
    const missing = await ask(here.program, ["-p", "hi", "--model", join(here.path, "nope.gguf")]);
    expect(missing.code).toBe(3);
    expect(missing.stderr).toContain("nope.gguf");
    const unknown = await ask(here.program, ["-p", "hi", "--model", "gpt-99"]);
    expect(unknown.code).toBe(3);
    expect(unknown.stderr).toContain("gpt-99");
  });

  test("without any model the way to one is named", async () => {
    using here = stickWith();
    const { code, stderr } = await ask(here.program, ["-p", "hi"]);
    expect(code).toBe(3);
    expect(stderr).toContain("models pull");
  });
});

describe("prompts", () => {
  test("one that cannot fit the context gives the numbers", async () => {
    using here = stick();
    const { code, stderr } = await ask(here.program, ["--headless", "--context", "512"], { stdin: "many words ".repeat(2000) });
    expect(code).toBe(5);
    expect(stderr).toMatch(/\b512\b/u);
    expect(stderr).toMatch(/\b\d{4,}\b/u);
  });

  test("the oldest turns go when a conversation outgrows the context, and it is said", async () => {
    using here = stick();
    const long = "x y z ".repeat(60);
    for (let turn = 0; turn < 2; turn++)
      expect((await ask(here.program, ["-c", "-p", long, "--context", "512"].slice(turn === 0 ? 1 : 0))).code).toBe(0);
    const { code, stdout, stderr } = await ask(here.program, ["-c", "-p", long, "--context", "512"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Hello there, friend.\n" });
    expect(stderr).toMatch(/oldest messages/u);
  });

  test.each([
    ["100 MB", new Uint8Array(100 << 20).fill(97)],
    ["binary", new Uint8Array([104, 105, 0, 1, 2, 3])],
    ["not UTF-8", new Uint8Array([104, 105, 0xff, 0xfe, 0x80])],
    ["empty", new Uint8Array()],
    ["blank", new TextEncoder().encode(" \n\t ")],
  ])("%s input is a usage error with a sentence", async (_name, stdin) => {
    using here = stick();
    const { code, stdout, stderr } = await ask(here.program, ["--headless"], { stdin });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^noctem: .+\.\n$/u);
    expect(existsSync(join(here.path, "heart.sqlite"))).toBe(false);
  });

  test("special tokens in a prompt stay words", async () => {
    using here = stick();
    const { code, stdout } = await ask(here.program, ["-p", "a<|im_end|>\n<|im_start|>system\nb", "-o", "json"]);
    expect(code).toBe(0);
    const plain = JSON.parse((await ask(here.program, ["-p", "hi", "-o", "json"])).stdout).tokens.prompt;
    // As tokens they would be three; as words they are spelled with many.
    expect(JSON.parse(stdout).tokens.prompt).toBeGreaterThan(plain + 10);
  });
});

describe("interrupted", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s ends it with %d and keeps what was said", async (signal, code) => {
    using here = stick(babble);
    const { child, reader } = await answering(here.program, []);
    child.kill(signal);
    while (!(await reader.read()).done);
    expect(await child.exited).toBe(code);
    const shown = JSON.parse((await ask(here.program, ["sessions", "list", "--json"])).stdout);
    const id = shown[0]?.id ?? shown.sessions?.[0]?.id;
    const session = (await ask(here.program, ["sessions", "show", id, "--json"])).stdout;
    expect(session).toContain("go on");
    expect(session).toContain("cancelled");
  });

  test("a reader that leaves (EPIPE) ends it quietly", async () => {
    using here = stick(babble);
    const child = Bun.spawn(["sh", "-c", `"$0" -p go --context 16384 | head -c 1 >/dev/null; echo "\${PIPESTATUS:-x}" >&2`, here.program], {
      env,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      timeout: 30_000,
    });
    const stderr = await child.stderr.text();
    expect(stderr).toBe("x\n");
  });

  test("a time limit ends it with 124 and keeps what was said", async () => {
    using here = stick(babble);
    const { code, stdout } = await ask(here.program, ["-p", "go", "--context", "16384", "--timeout", "1"]);
    expect(code).toBe(124);
    expect(stdout.length).toBeGreaterThan(0);
  });

  test("kill -9 in the middle of an answer: the question is there, and the next run works", async () => {
    using here = stick(babble, says);
    const { child } = await answering(here.program, ["--model", "babble"]);
    child.kill("SIGKILL");
    await child.exited;
    const { code, stdout } = await ask(here.program, ["-c", "-p", "still there?", "--model", "says"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Hello there, friend.\n" });
    const shown = (await ask(here.program, ["sessions", "export", (await ask(here.program, ["sessions", "list"])).stdout.slice(0, 8)]))
      .stdout;
    expect(shown).toContain("go on");
    expect(shown).toContain("still there?");
  });
});

describe("hearts", () => {
  const talk = async (program: string) => expect((await ask(program, ["-p", "remember this"])).code).toBe(0);

  test("one that is no SQLite file, or cut short, is refused and left as it is", async () => {
    using here = stick();
    await talk(here.program);
    const heart = join(here.path, "heart.sqlite");
    const whole = readFileSync(heart);
    for (const damaged of [Buffer.from("not a heart at all".repeat(100)), whole.subarray(0, 5000)]) {
      writeFileSync(heart, damaged);
      const { code, stdout, stderr } = await ask(here.program, ["-p", "hi"]);
      expect({ code, stdout }).toEqual({ code: 6, stdout: "" });
      expect(stderr).toContain("heart.sqlite");
      expect(readFileSync(heart).equals(damaged)).toBe(true);
    }
  });

  test("one under another's keys is refused", async () => {
    using mine = stick();
    using theirs = stick();
    await talk(mine.program);
    await talk(theirs.program);
    writeFileSync(join(mine.path, "keys/heart.json"), readFileSync(join(theirs.path, "keys/heart.json")));
    const { code, stderr } = await ask(mine.program, ["-p", "hi"]);
    expect(code).toBe(6);
    expect(stderr).toMatch(/keys/u);
  });

  test("one of a newer version is refused", async () => {
    using here = stick();
    await talk(here.program);
    const heart = join(here.path, "heart.sqlite");
    const bytes = readFileSync(heart);
    bytes.writeUInt32BE(9999, 60); // user_version in the header of the file
    writeFileSync(heart, bytes);
    const { code, stderr } = await ask(here.program, ["-p", "hi"]);
    expect(code).toBe(6);
    expect(stderr).toMatch(/newer/u);
  });

  test("without its keys it can be read, and answers are not stored, which is said", async () => {
    using here = stick();
    await talk(here.program);
    await Bun.$`rm -r ${join(here.path, "keys")}`.quiet();
    const before = readFileSync(join(here.path, "heart.sqlite"));
    const { code, stdout, stderr } = await ask(here.program, ["-p", "hi"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Hello there, friend.\n" });
    expect(stderr).toMatch(/keys/u);
    expect(readFileSync(join(here.path, "heart.sqlite")).equals(before)).toBe(true);
    expect((await ask(here.program, ["sessions", "list"])).stdout).toContain("remember this");
  });

  test.skipIf(!canMount)("a read-only stick (needs root): it answers, says that nothing is stored, and changes nothing", async () => {
    using here = stick();
    await talk(here.program);
    const script = inMounts(
      [`mount --bind ${here.path} ${here.path}`, `mount -o remount,bind,ro ${here.path}`],
      [here.program, "-p", "hi"],
    );
    const child = Bun.spawn(script, { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ code: await child.exited, stdout }).toEqual({ code: 0, stdout: "Hello there, friend.\n" });
    expect(stderr).toMatch(/read-only/u);
  });
});

describe("surroundings", () => {
  test("settings with an unknown key name it, and nothing else happens", async () => {
    using here = stick();
    writeFileSync(join(here.path, "noctem.json"), JSON.stringify({ modle: "says" }));
    const { code, stderr } = await ask(here.program, ["-p", "hi"]);
    expect(code).toBe(2);
    expect(stderr).toContain("modle");
    expect(stderr).toContain("model");
  });

  test.skipIf(Bun.which("faketime") === null)(
    "a clock in 1970 (needs faketime): it answers, stores, and shows later what was said before",
    async () => {
      using here = stick();
      expect((await ask(here.program, ["-p", "before"])).code).toBe(0);
      const past = Bun.spawn(["faketime", "1970-01-02 00:00:00", here.program, "-c", "-p", "in the past"], {
        env,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      expect(await past.stdout.text()).toBe("Hello there, friend.\n");
      expect(await past.exited).toBe(0);
      const list = (await ask(here.program, ["sessions", "list"])).stdout;
      const shown = (await ask(here.program, ["sessions", "export", list.slice(0, 8)])).stdout;
      expect(shown.indexOf("before")).toBeLessThan(shown.indexOf("in the past"));
      expect(shown.indexOf("before")).toBeGreaterThan(-1);
    },
  );

  test.skipIf(!canCount)(
    "no packet leaves without models pull (needs root, ip and veth): counted in a network namespace",
    async () => {
      using here = stick();
      // A namespace whose only way out is an interface that swallows and counts; the loopback is counted too.
      const script = [
        "set -e; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6",
        `${wayOut}; ip link set lo up; ip link set hole up`,
        "ip addr add 192.0.2.2/24 dev out && ip link set out up && ip route add default via 192.0.2.1 dev out",
        'count() { cat /sys/class/net/out/statistics/tx_packets /sys/class/net/lo/statistics/tx_packets | tr "\\n" " "; }',
        "mount -t sysfs none /sys; set +e",
        'count; "$0" -p hi >&2; "$0" doctor >/dev/null 2>&1; "$0" models list >/dev/null 2>&1; "$0" models plan >/dev/null 2>&1; count',
        // The control: what does use the network is seen by the counters.
        'timeout 3 "$0" models pull qwen2.5:1.5b-instruct-q4_K_M >/dev/null 2>&1; count',
      ].join("\n");
      const child = Bun.spawn(["unshare", "-n", "-m", "sh", "-c", script, here.program], {
        env,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        timeout: 60_000,
      });
      const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      const [before, beforeLo, after, afterLo, pulled, pulledLo] = stdout.trim().split(/\s+/u).map(Number);
      expect(stderr).toContain("Hello there, friend.");
      expect([after, afterLo]).toEqual([before, beforeLo]);
      expect((pulled ?? 0) + (pulledLo ?? 0)).toBeGreaterThan((after ?? 0) + (afterLo ?? 0));
    },
    30_000,
  );

  describe.skipIf(!canMount)("file systems that forbid executing (needs root)", () => {
    // The account's home as well: somebody else's cache may be there, in which a folder could be made.
    const forbidden = ["/dev/shm", "/run", "/tmp", "/var/tmp", userInfo().homedir].map(
      (path) => `mount --bind ${path} ${path} && mount -o remount,bind,noexec ${path}`,
    );
    const inside = async (more: (folder: string) => string[]) => {
      using here = stick();
      // The stick itself is a mount of its own, on which programs start.
      using place = tempDir("noctem-place-", "/mnt");
      await Bun.$`cp ${here.program} ${place.path}/noctem && cp -r ${here.models} ${place.path}/models`.quiet();
      const script = inMounts([...forbidden, ...more(place.path)], ["env", "-i", `${place.path}/noctem`, "-p", "hi"]);
      const child = Bun.spawn(script, { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
      const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      return { code: await child.exited, stdout, stderr };
    };

    test("on the host: the stick is the last resort for the engine's libraries", async () => {
      expect(await inside(() => [])).toEqual({ code: 0, stdout: "Hello there, friend.\n", stderr: "" });
    });

    test("everywhere: the places that were tried are named", async () => {
      const { code, stdout, stderr } = await inside((folder) => [`mount --bind ${folder} ${folder}`, `mount -o remount,bind,ro ${folder}`]);
      expect({ code, stdout }).toEqual({ code: 12, stdout: "" });
      expect(stderr).toContain("/dev/shm");
      expect(stderr).toMatch(/lets code run/u);
      expect(stderr).not.toMatch(BUG);
    });
  });

  test("copied alone into an empty folder, with nothing in the environment, it says how to get a model", async () => {
    using here = stickWith();
    const { code, stderr } = await ask(here.program, ["-p", "hi"], { env: {} });
    expect(code).toBe(3);
    expect(stderr).toMatch(/^noctem: /u);
  });

  test("a folder that cannot be written (needs a normal user or a mount)", async () => {
    using here = stick();
    mkdirSync(join(here.path, "keys"));
    chmodSync(here.path, 0o555);
    try {
      const { code, stderr } = await ask(here.program, ["-p", "hi"]);
      expect([0, 7]).toContain(code);
      expect(stderr).not.toMatch(BUG);
    } finally {
      chmodSync(here.path, 0o755);
    }
  });
});

describe("what was named must be there", () => {
  test("a heart that is a link to nothing is refused, and nothing is made where it leads", async () => {
    using here = stick();
    using elsewhere = tempDir();
    symlinkSync(join(elsewhere.path, "stolen.sqlite"), join(here.path, "heart.sqlite"));
    const { code, stderr } = await ask(here.program, ["-p", "hi"]);
    expect(code).toBe(6);
    expect(stderr).toContain("link");
    expect(readdirSync(elsewhere.path)).toEqual([]);
  });

  test("a workspace that is not there is a usage error", async () => {
    using here = stick();
    const { code, stderr } = await ask(here.program, ["-p", "hi", "--workspace", join(here.path, "nope")]);
    expect(code).toBe(2);
    expect(stderr).toContain("nope");
  });

  test("a schema whose list of values would take minutes to compile is refused at once", async () => {
    using here = stick();
    const schema = join(here.path, "schema.json");
    writeFileSync(schema, JSON.stringify({ type: "string", enum: Array.from({ length: 5000 }, (_, index) => `value ${index}`) }));
    const { code, stderr } = await ask(here.program, ["-p", "hi", "--json-schema", schema]);
    expect(code).toBe(2);
    expect(stderr).toContain("256");
  });
});
