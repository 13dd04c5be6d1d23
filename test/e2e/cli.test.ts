/** The command line of the compiled program, without a model. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cleanEnvironment, run, type RunOptions, type Stick, stickWith, tempDir } from "../support/noctem.ts";

let stick: Stick;
beforeAll(() => {
  stick = stickWith();
});
afterAll(() => stick[Symbol.dispose]());

const noctem = (args: readonly string[], options: RunOptions = {}) => run(args, { program: stick.program, timeout: 45_000, ...options });
/** Usage errors: nothing on stdout, one line on stderr, no trace of an exception. */
async function refused(args: readonly string[], part: string, options: RunOptions = {}, code = 2): Promise<void> {
  const result = await noctem(args, options);
  expect({ args, code: result.code, stdout: result.stdout }).toEqual({ args, code, stdout: "" });
  expect(result.stderr).toStartWith("noctem: ");
  expect(result.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(result.stderr).toContain(part);
}

/** A shell line with `noctem` in it: what pipes and redirections really do. Answers stdout, stderr and the exit code of noctem itself. */
async function shell(line: string): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  using dir = tempDir();
  const child = Bun.spawn(["bash", "-c", `noctem() { "$PROGRAM" "$@"; echo $? > "$CODE"; }; ${line}`], {
    env: { ...cleanEnvironment, PROGRAM: stick.program, CODE: join(dir.path, "code") },
    cwd: dir.path,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 45_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return { code: Number(readFileSync(join(dir.path, "code"), "utf8")), stdout, stderr };
}

describe("usage", () => {
  test("slips are named with what was meant", async () => {
    await refused(["--promt", "x"], "Did you mean --prompt?");
    await refused(["sesions"], 'Did you mean "noctem sessions"?');
    await refused(["sessions", "list", "--jsn"], "Did you mean --json?");
    await refused(["--temperature", "hot", "-p", "x"], "a number from 0 to 5");
    await refused(["-p"], "-p needs a value");
    await refused(["completions", "tcsh"], "bash, zsh, fish");
  });

  test("what cannot both be meant", async () => {
    await refused(["-p", "x", "--continue", "--resume", "abcd"], "use one of them");
    await refused(["-p", "x", "--no-store", "--continue"], "--no-store");
    await refused(["--batch", "-p", "x"], "leave -p away");
  });

  test("without a prompt it says what to do, and makes no heart", async () => {
    await refused([], 'noctem -p "…"');
    await refused(["--headless"], 'noctem -p "…"');
    await refused(["-p", "  "], "There is no prompt");
    await refused(["-p", "/retry"], "/retry looks like a command of the chat");
    expect(existsSync(join(stick.path, "heart.sqlite"))).toBe(false);
  });

  test("help, for every command, and the version", async () => {
    const help = await noctem(["--help"]);
    expect({ code: help.code, stderr: help.stderr }).toEqual({ code: 0, stderr: "" });
    for (const part of ["Usage:", "sessions", "--json-schema FILE", "Examples:", "Exit codes:"]) expect(help.stdout).toContain(part);
    expect((await noctem(["sessions", "delete", "-h"])).stdout).toContain("--yes");
    expect((await noctem(["--version"])).stdout).toMatch(/^noctem \d+\.\d+\.\d+\n$/u);
    expect((await noctem(["--verbose", "--version"])).stdout).toMatch(/^noctem \d+\.\d+\.\d+\n$/u);
    expect(JSON.parse((await noctem(["version", "--json"])).stdout)).toMatchObject({ "node-llama-cpp": "3.22.1", heartFormat: 3 });
  });
});

describe("standard input", () => {
  test("what is no text", async () => {
    await refused(["--headless"], "NUL byte at offset 1", { stdin: "a\0b" });
    await refused(["-p", "x"], "not UTF-8", { stdin: new Uint8Array([0x63, 0xe9, 0x0a]) });
    await refused([], "UTF-16", { stdin: new Uint8Array([0xff, 0xfe, 0x68, 0]) });
  });

  test("100 MB are refused early, from a file and from a pipe", async () => {
    const file = await shell("truncate -s 100M big; noctem < big");
    expect(file.code).toBe(2);
    expect(file.stderr).toContain("larger than 8 MB");
    const pipe = await shell("yes | head -c 100M | noctem -p x");
    expect(pipe.code).toBe(2);
    expect(pipe.stderr).toContain("larger than 8 MB");
  });

  test("closed, empty, a folder", async () => {
    for (const from of ["<&-", "</dev/null"]) expect(await shell(`noctem --headless ${from}`)).toMatchObject({ code: 2, stdout: "" });
    expect((await shell("noctem -p x < /tmp")).stderr).toContain("it is a folder");
  });

  /** A standard input that is open and says nothing. */
  const silent = (command: string): string => `mkfifo silent; sleep 60 > silent & ${command} < silent; kill $!`;

  // That it ends after 30 s is left to the unit test: half a minute is long.
  test("open and silent: named after 2 s, and a signal ends the wait", async () => {
    const { code, stdout, stderr } = await shell(silent('noctem() { timeout 3 "$PROGRAM" "$@"; echo $? > "$CODE"; }; noctem --headless'));
    expect({ code, stdout }).toEqual({ code: 124, stdout: "" });
    expect(stderr).toBe("noctem: Waiting for standard input; --stdin none does without it, --stdin wait waits as long as it takes.\n");
  });

  test("--stdin none does not read it", async () => {
    // Without a model it gets as far as that.
    expect((await shell(silent("noctem --stdin none -p x --no-store"))).code).toBe(3);
  });
});

describe("standard output", () => {
  test("a reader that had enough is no error", async () => {
    expect(await shell("noctem --help | head -c 1")).toMatchObject({ code: 0, stdout: "n", stderr: "" });
    expect((await shell("noctem --help >&-")).code).toBe(0);
  });

  test.skipIf(!existsSync("/dev/full"))("a full disk is (skipped without /dev/full)", async () => {
    const { code, stderr } = await shell("noctem --help > /dev/full");
    expect(code).toBe(7);
    expect(stderr).toContain("Standard output cannot be written");
    expect((await shell("noctem --version > /dev/full")).code).toBe(7);
  });

  test("nothing is cut off on the way out", async () => {
    const whole = (await noctem(["completions", "zsh"])).stdout;
    expect((await shell("noctem completions zsh | { sleep 0.5; cat; }")).stdout).toBe(whole);
  });
});

describe("settings", () => {
  const file = (): string => join(stick.path, "noctem.json");
  const fresh = (text?: string): void => {
    rmSync(file(), { force: true });
    if (text !== undefined) writeFileSync(file(), text);
  };

  test("set, get, list, unset; nothing is left beside the file", async () => {
    fresh();
    const before = readdirSync(stick.path).toSorted();
    expect((await noctem(["config", "set", "temperature", "0.2"])).code).toBe(0);
    expect((await noctem(["config", "set", "theme", ""])).code).toBe(2);
    expect((await noctem(["config", "get", "temperature"])).stdout).toBe("0.2\n");
    expect((await noctem(["config", "path"])).stdout).toBe(`${file()}\n`);
    const env = { ...cleanEnvironment, NOCTEM_TEMPERATURE: "1" };
    expect((await noctem(["config", "get", "temperature", "--json"], { env })).stdout).toBe(
      '{"name":"temperature","value":1,"origin":"environment"}\n',
    );
    expect((await noctem(["config", "list"])).stdout).toMatch(/^temperature +0\.2 .*from noctem\.json$/mu);
    expect(readdirSync(stick.path).toSorted()).toEqual([...before, "noctem.json"].toSorted());
    expect((await noctem(["config", "unset", "temperature"])).code).toBe(0);
    expect(JSON.parse(readFileSync(file(), "utf8"))).toEqual({});
  });

  test("an unknown key stops every start, by name, and can be taken out", async () => {
    fresh('{"modle": "x"}');
    await refused(["-p", "x"], `no setting "modle". Did you mean "model"?`);
    await refused(["config", "list"], "modle");
    expect((await noctem(["config", "unset", "modle"])).code).toBe(0);
    expect((await noctem(["config", "list"])).code).toBe(0);
  });

  test("damage is named by line, values by what they should be", async () => {
    fresh('{\n  "seed": 1,\n}');
    await refused(["-p", "x"], "see line 3, column 1");
    fresh('{"seed": "one"}');
    await refused(["-p", "x"], "seed wants a whole number");
    fresh();
    await refused(["-p", "x"], "NOCTEM_GPU: gpu wants auto or off", { env: { ...cleanEnvironment, NOCTEM_GPU: "on" } });
    await refused(["config", "set", "workspace", "/home"], "path of one computer");
    await refused(["config", "set", "sed", "1"], 'Did you mean "seed"?');
  });

  test.skipIf(process.getuid?.() === 0)("a read-only stick says so (skipped as root, whom modes do not stop)", async () => {
    fresh();
    chmodSync(stick.path, 0o555);
    try {
      await refused(["config", "set", "seed", "1"], "read-only", {}, 7);
    } finally {
      chmodSync(stick.path, 0o755);
    }
  });
});

describe("sessions without a heart", () => {
  test("are none, and looking makes none", async () => {
    expect(await noctem(["sessions", "list"])).toMatchObject({ code: 0, stdout: "" });
    expect((await noctem(["sessions", "list", "--json"])).stdout).toBe('{"sessions":[]}\n');
    await refused(["sessions", "show", "abcd"], "no heart at");
    await refused(["sessions", "delete", "abcd"], "--yes");
    expect(existsSync(join(stick.path, "heart.sqlite"))).toBe(false);
  });

  test("a heart that is none is named and left as it is", async () => {
    using dir = tempDir();
    const heart = join(dir.path, "heart.sqlite");
    writeFileSync(heart, "not a database, certainly ".repeat(100));
    await refused(["sessions", "list", "--heart", heart], "It was left as it is", {}, 6);
    await refused(["-p", "x"], heart, { env: { ...cleanEnvironment, NOCTEM_HEART: heart } }, 6);
    expect(readFileSync(heart, "utf8")).toStartWith("not a database");
  });
});

test("without a model the sentence says how to get one", async () => {
  const { code, stdout, stderr } = await noctem(["-p", "Hello", "--no-store", "--output", "json"]);
  expect(code).toBe(3);
  expect(stderr).toStartWith("noctem: ");
  expect(JSON.parse(stdout)).toMatchObject({ answer: "", error: { kind: "no-model", code: 3 } });
  expect(existsSync(join(stick.path, "heart.sqlite"))).toBe(false);
});

test("doctor says what there is; a missing model is the one thing broken", async () => {
  const { code, stdout } = await noctem(["doctor", "--json"]);
  const report = JSON.parse(stdout) as { findings: { name: string; state: string; fix: string | null }[]; code: number };
  expect(report.code).toBe(code);
  expect(code).toBe(3);
  expect(report.findings.filter((finding) => finding.state === "broken").map((finding) => finding.name)).toEqual(["models"]);
  for (const name of [
    "host",
    "memory",
    "clock",
    "file system",
    "settings",
    "heart",
    "keys",
    "user namespaces",
    "bubblewrap",
    "GPU",
    "engine libraries",
  ])
    expect(report.findings.map((finding) => finding.name)).toContain(name);
  for (const finding of report.findings) if (finding.state === "broken") expect(finding.fix).not.toBeNull();
});

const strace = Bun.which("strace");
test.skipIf(strace === null)("it opens no translation and no settings but its own (skipped without strace)", async () => {
  const { stderr } = await run(["-f", "-e", "trace=open,openat", "-o", "/dev/stderr", stick.program, "config", "list"], {
    program: strace ?? "",
  });
  const opened = [...stderr.matchAll(/"([^"]+\.(?:json|toml|env|ya?ml|js|ts))"/gu)].map((match) => match[1]);
  expect(opened.filter((path) => path !== join(stick.path, "noctem.json"))).toEqual([]);
});

test("folders with odd names", async () => {
  using odd = tempDir("noctem ' \" $x é-");
  mkdirSync(join(odd.path, "a b"));
  const { stdout } = await noctem(["config", "path"], { cwd: join(odd.path, "a b") });
  expect(stdout).toBe(`${join(stick.path, "noctem.json")}\n`);
});
