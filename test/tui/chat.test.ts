/** The chat as a person meets it: the compiled program, a real terminal, keys in and a screen out. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { writeTinyModel } from "../support/gguf.ts";
import { openPty, type Pty, type PtyOptions } from "../support/pty.ts";
import { cleanEnvironment, run, type Stick, stickWith, tempDir } from "../support/noctem.ts";

const shelf = tempDir();
afterAll(() => shelf[Symbol.dispose]());
const says = writeTinyModel(join(shelf.path, "says.gguf"), { says: ["Hello", " there", ", friend", "."] });
/** Recites without end, too short a round for the repetition guard. */
const endless = writeTinyModel(join(shelf.path, "endless.gguf"), {
  says: ["so", " on"],
  afterwards: { repeatFrom: 0 },
  contextLength: 32768,
});

interface Sitting extends AsyncDisposable {
  readonly stick: Stick;
  readonly chat: Pty;
}

function sit(
  models: readonly string[] = [says],
  options: PtyOptions & { readonly args?: readonly string[]; readonly on?: Stick } = {},
): Sitting {
  const stick = options.on ?? stickWith({ models });
  const chat = openPty([stick.program, ...(options.args ?? [])], { cwd: stick.path, ...options });
  return {
    stick,
    chat,
    [Symbol.asyncDispose]: async () => {
      await chat[Symbol.asyncDispose]();
      if (!options.on) stick[Symbol.dispose]();
    },
  };
}

/** Many of these wait for a process to start, load and end, on machines of two busy cores. */
setDefaultTimeout(20_000);
const ENTER = "\r";
const READY = /quick (?:says|endless)/u;

async function ask(chat: Pty, text: string): Promise<void> {
  await chat.type(text);
  chat.send(ENTER);
}

/** What the heart keeps, as the command line tells it. */
async function stored(stick: Stick): Promise<string> {
  const listed = JSON.parse((await run(["sessions", "list", "--json"], { program: stick.program })).stdout);
  const ids: { readonly id: string }[] = Array.isArray(listed) ? listed : listed.sessions;
  const shown = await Promise.all(
    ids.map(async ({ id }) => (await run(["sessions", "show", id, "--json"], { program: stick.program })).stdout),
  );
  return shown.join("\n");
}

describe("talking", () => {
  test("the first frame stands before any model is loaded; a question is answered", async () => {
    await using sitting = sit();
    const { chat } = sitting;
    await chat.see(/Noctem: a private assistant/u);
    await chat.see(READY);
    await ask(chat, "hi there");
    const screen = await chat.see(/friend\./u);
    expect(screen).toMatch(/^ you {2}hi there$/mu);
    expect(screen).toMatch(/^ ┊ Hello there, friend\.$/mu);
    expect(await stored(sitting.stick)).toContain("hi there");
  });

  test("a message of several lines by Ctrl-J, Alt-Enter and a backslash", async () => {
    await using sitting = sit();
    const { chat } = sitting;
    await chat.see(READY);
    await chat.type("one");
    chat.send("\n");
    await chat.type("two");
    chat.send("\u001b\r");
    await chat.type("three\\");
    chat.send(ENTER);
    await ask(chat, "four");
    await chat.see(/friend\./u);
    expect(await stored(sitting.stick)).toContain("one\\ntwo\\nthree\\nfour");
  });

  test("a paste is a chip, its end cannot be forged, and the heart knows it from typed words", async () => {
    await using sitting = sit();
    const { chat } = sitting;
    await chat.see(READY);
    await chat.type("look: ");
    chat.send("\u001b[200~evil\u001b[201~\r/quit\r\u001b[201~");
    await chat.see(/look: \[paste #1/u);
    chat.send(ENTER);
    await chat.see(/friend\./u);
    const heart = await stored(sitting.stick);
    expect(heart).toMatch(/"kind":\s*"typed",\s*"text":\s*"look: "/u);
    expect(heart).toMatch(/"kind":\s*"pasted",\s*"text":\s*"evil\\n\/quit/u);
  });

  test("what a model says cannot leave its place", async () => {
    const hostile = writeTinyModel(join(shelf.path, "hostile.gguf"), {
      says: ["\u001b[2J", "\u001b]52;c;aGk=\u0007", "\u202e", "plain", "\r you  forged"],
    });
    await using sitting = sit([hostile]);
    const { chat } = sitting;
    await chat.see(/quick hostile/u);
    await ask(chat, "go");
    const screen = await chat.see(/plain/u);
    expect(screen).toMatch(/^ you {2}go$/mu);
    expect(screen).not.toMatch(/^ you {2}forged/mu);
    expect(chat.raw()).not.toContain("\u001b]52");
    expect(chat.raw()).not.toContain("\u202e");
  });

  test("without a model a message waits, and the way to one is told", async () => {
    await using sitting = sit([]);
    const { chat } = sitting;
    await chat.see(/no model/u);
    expect(chat.text()).toMatch(/\/pull/u);
    await ask(chat, "anyone?");
    await chat.see(/goes out when a model is ready/u);
    expect(chat.text()).toContain("anyone?");
  });

  test("an answer that fails says so, and the next one works: the engine is killed in the middle", async () => {
    await using sitting = sit([endless, says], { args: ["--context", "16384", "--model", "endless"] });
    const { chat } = sitting;
    await chat.see(READY);
    await ask(chat, "go on");
    await chat.see(/onso onso/u);
    process.kill(engineOf(chat.pid), "SIGKILL");
    await chat.see(/The engine stopped/u);
    await ask(chat, "/model says");
    await ask(chat, "again");
    await chat.see(/friend\./u);
  });
});

/** The child that runs the model. */
function engineOf(host: number): number {
  const children = readFileSync(`/proc/${host}/task/${host}/children`, "utf8").trim().split(" ").map(Number);
  const engine = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("__engine"));
  if (engine === undefined) throw new Error("no engine runs");
  return engine;
}

describe("stopping and leaving", () => {
  test.each([
    ["Esc", "\u001b"],
    ["Ctrl-C", "\u0003"],
  ])("%s stops the answer and keeps what there is", async (_name, key) => {
    await using sitting = sit([endless], { args: ["--context", "16384"] });
    const { chat } = sitting;
    await chat.see(READY);
    await ask(chat, "go on");
    await chat.see(/onso onso/u);
    chat.send(key);
    await chat.see(/\(stopped\)/u);
    expect(await stored(sitting.stick)).toContain("cancelled");
  });

  test("Ctrl-C puts a draft into history; twice leaves and puts the terminal back", async () => {
    await using sitting = sit();
    const { chat } = sitting;
    await chat.see(READY);
    await chat.type("unsent words");
    chat.send("\u0003");
    await chat.see((screen) => !screen.includes("> unsent words"));
    chat.send("\u001b[A");
    await chat.see(/> unsent words/u);
    chat.send("\u0003");
    await chat.see((screen) => !screen.includes("> unsent words"));
    chat.send("\u0003");
    await chat.see(/Ctrl-C again/u);
    chat.send("\u0003");
    expect(await chat.exited).toBe(0);
    expect(chat.restored()).toEqual({ mainScreen: true, cursorShown: true, plainPaste: true });
  });

  test("Ctrl-D on an empty draft and /quit leave", async () => {
    for (const leave of ["\u0004", "/quit\r"]) {
      await using sitting = sit();
      await sitting.chat.see(READY);
      if (leave.length === 1) sitting.chat.send(leave);
      else await sitting.chat.type(leave);
      expect(await sitting.chat.exited).toBe(0);
      expect(sitting.chat.restored().mainScreen).toBe(true);
    }
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGINT", 130],
  ] as const)("%s in the middle of an answer: terminal back, exit %d, the answer kept", async (signal, code) => {
    await using sitting = sit([endless], { args: ["--context", "16384"] });
    const { chat } = sitting;
    await chat.see(READY);
    await ask(chat, "go on");
    await chat.see(/onso onso/u);
    chat.signal(signal);
    expect(await chat.exited).toBe(code);
    expect(chat.restored()).toEqual({ mainScreen: true, cursorShown: true, plainPaste: true });
    expect(await stored(sitting.stick)).toContain("so onso on");
  });

  test("Ctrl-Z stops it under a shell, with the screen put back; fg brings it on again", async () => {
    using stick = stickWith({ models: [says] });
    await using chat = openPty(["bash", "--norc", "--noprofile", "-i"], { env: { PS1: "shell> " } });
    await chat.see(/shell>/u);
    chat.send(`${stick.program}\n`);
    await chat.see(READY);
    chat.send("\u001a");
    await chat.see(/Stopped/u);
    // The shell asks for bracketed pastes itself.
    expect(chat.restored()).toMatchObject({ mainScreen: true, cursorShown: true });
    chat.send("fg\n");
    await chat.see(READY);
    await ask(chat, "still here?");
    await chat.see(/friend\./u);
  });

  test("Ctrl-Z without a shell to come back from goes on at once", async () => {
    await using sitting = sit();
    const { chat } = sitting;
    await chat.see(READY);
    chat.send("\u001a");
    await Bun.sleep(200);
    await ask(chat, "still here?");
    await chat.see(/friend\./u);
  });
});

describe("commands", () => {
  test("Tab completes, Enter takes what is chosen, an unknown one is said and not sent", async () => {
    await using sitting = sit();
    const { chat } = sitting;
    await chat.see(READY);
    await chat.type("/reas");
    await chat.see(/\/reasoning/u);
    chat.send("\t");
    await chat.see(/> \/reasoning/u);
    chat.send("\u0003");
    await ask(chat, "/nonsense");
    await chat.see(/There is no command \/nonsense/u);
    expect(await stored(sitting.stick)).toBe("");
  });

  test("/help shows commands and keys, Esc closes it", async () => {
    await using sitting = sit([says], { rows: 50 });
    const { chat } = sitting;
    await chat.see(READY);
    await ask(chat, "/help");
    // The list of commands alone is what the first letter already offers.
    const help = await chat.see(/Ctrl-T/u);
    expect(help).toContain("/private");
    chat.send("\u001b");
    await chat.see(/Nothing you type leaves/u);
  });

  test("/retry, /edit and /branch keep every take", async () => {
    await using sitting = sit();
    const { chat } = sitting;
    await chat.see(READY);
    await ask(chat, "old words");
    await chat.see(/friend\./u);
    await ask(chat, "/retry");
    await chat.see(/‹2\/2›/u);
    await ask(chat, "/branch");
    await chat.see(/‹1\/2›/u);
    await ask(chat, "/edit");
    await chat.see(/> old words/u);
    for (let key = 0; key < 5; key++) chat.send("\u007f");
    await ask(chat, "ideas");
    await chat.see(/you {2}old ideas/u);
    await chat.see(/‹2\/2›/u);
  });

  test("/sessions goes back to an earlier conversation; /private leaves nothing", async () => {
    await using sitting = sit();
    const { chat } = sitting;
    await chat.see(READY);
    await ask(chat, "first talk");
    await chat.see(/friend\./u);
    await ask(chat, "/private");
    await chat.see(/\[private\]/u);
    await ask(chat, "hush hush");
    await chat.see(/friend\./u);
    await ask(chat, "/sessions");
    await chat.see(/Conversations/u);
    chat.send(ENTER);
    await chat.see(/you {2}first talk/u);
    expect(chat.text()).not.toContain("hush hush");
    const heart = await stored(sitting.stick);
    expect(heart).toContain("first talk");
    expect(heart).not.toContain("hush");
  });

  test("/copy hands the source to the terminal, /export writes it, /find goes there", async () => {
    await using sitting = sit();
    const { chat, stick } = sitting;
    await chat.see(READY);
    await ask(chat, "needle one");
    await chat.see(/friend\./u);
    await ask(chat, "/copy");
    await chat.see(/bytes handed/u);
    expect(chat.raw()).toContain(`\u001b]52;c;${btoa("Hello there, friend.")}\u0007`);
    await ask(chat, "/export talk.md");
    await chat.see(/Wrote .*talk\.md/u);
    const written = [join(stick.path, "work/talk.md"), join(stick.path, "talk.md")].find((path) => existsSync(path));
    expect(readFileSync(written ?? "", "utf8")).toContain("Hello there, friend.");
    await ask(chat, "/find NEEDLE");
    await chat.see(/needle one/u);
    await ask(chat, "/find nowhere");
    await chat.see(/is not in this conversation/u);
  });
});

describe("the screen", () => {
  test.each([
    [40, 15],
    [80, 24],
    [200, 50],
  ])("at %d×%d the draft is at the bottom, the status above it", async (columns, rows) => {
    await using sitting = sit([says], { columns, rows });
    const { chat } = sitting;
    await chat.see(/says/u);
    await ask(chat, "hi");
    await chat.see(/friend\./u);
    expect(chat.screen()[rows - 1]).toBe(">");
    expect(chat.screen()[rows - 2]).toContain("says");
  });

  test("a size that goes and comes back leaves no broken rows", async () => {
    await using sitting = sit();
    const { chat } = sitting;
    await chat.see(READY);
    await ask(chat, "hi");
    await chat.see(/friend\./u);
    const before = await chat.see((screen) => screen.includes("t/s"));
    chat.resize(40, 15);
    await chat.see((screen) => screen.split("\n").length === 15 && screen.includes("friend"));
    chat.resize(80, 24);
    await chat.see((screen) => screen === before);
    chat.resize(50, 20);
    chat.resize(80, 24);
    await chat.see((screen) => screen === before);
  });

  test("scrolling back stays where it is while an answer grows, and End returns", async () => {
    await using sitting = sit([endless], { args: ["--context", "16384"] });
    const { chat } = sitting;
    await chat.see(READY);
    await ask(chat, "go on");
    await chat.see((screen) => screen.includes("so onso on") && !screen.includes("you  go on"));
    chat.send("\u001b[5~");
    const held = (await chat.see(/End/u)).split("\n")[3];
    await Bun.sleep(300);
    expect(chat.screen()[3]).toBe(held ?? "");
    expect(chat.text()).toMatch(/↓ \d+ .*End/u);
    chat.send("\u001b[F");
    await chat.see((screen) => !/↓ \d+/u.test(screen));
  });

  test("NO_COLOR: no colour reaches the terminal", async () => {
    await using sitting = sit([says], { env: { NO_COLOR: "1" } });
    const { chat } = sitting;
    await chat.see(READY);
    await ask(chat, "hi");
    await chat.see(/friend\./u);
    // oxlint-disable-next-line no-control-regex -- escape sequences are what this is about
    expect(chat.raw()).not.toMatch(/\u001b\[(?:[\d;]*;)?(?:3[0-7]|4[0-7]|9[0-7])m/u);
  });

  test("CI in the environment does not blank it", async () => {
    await using sitting = sit([says], { env: { CI: "1" } });
    await sitting.chat.see(/Noctem: a private assistant/u);
  });

  test.each([
    ["TERM=dumb", { TERM: "dumb" }, []],
    ["--plain", {}, ["--plain"]],
  ] as const)("%s: lines that only grow, no cursor moved", async (_name, env, args) => {
    await using sitting = sit([says], { env, args });
    const { chat } = sitting;
    await chat.see(/Enter sends a line/u);
    chat.send("hi\n");
    await chat.see(/Noctem: Hello there, friend\./u);
    // oxlint-disable-next-line no-control-regex -- escape sequences are what this is about
    expect(chat.raw()).not.toMatch(/\u001b\[/u);
    chat.send("/quit\n");
    expect(await chat.exited).toBe(0);
  });
});

describe("the world around it", () => {
  test("two chats on one stick see each other within moments", async () => {
    await using one = sit();
    await one.chat.see(READY);
    await ask(one.chat, "from the first");
    await one.chat.see(/friend\./u);
    await using two = sit([], { on: one.stick, args: ["-c"] });
    await two.chat.see(/from the first/u);
    await ask(two.chat, "from the second");
    await one.chat.see(/from the second/u, 5000);
  });

  test("a pulled stick blanks the screen; put back, it goes on", async () => {
    await using sitting = sit();
    const { chat, stick } = sitting;
    await chat.see(READY);
    await ask(chat, "private words");
    await chat.see(/friend\./u);
    const heart = join(stick.path, "heart.sqlite");
    renameSync(heart, `${heart}.gone`);
    await chat.see(/The stick is gone/u, 5000);
    expect(chat.text()).not.toContain("private words");
    renameSync(`${heart}.gone`, heart);
    await chat.see(/private words/u, 5000);
    await ask(chat, "and on");
    await chat.see((screen) => screen.split("friend.").length === 3);
  });

  test.skipIf(Bun.which("python3") === null)(
    "a terminal that nobody reads stalls nothing: the answer is complete in the heart (needs python3)",
    async () => {
      using stick = stickWith({ models: [endless] });
      // Opens a terminal, asks, and reads nothing from then on: its buffer of 4 KiB is full within a second.
      const script = [
        "import os, pty, sys, time",
        "pid, fd = pty.fork()",
        "if pid == 0: os.execve(sys.argv[1], [sys.argv[1], '--context', '4096'], dict(os.environ))",
        "seen = b''",
        "while b'quick' not in seen: seen += os.read(fd, 65536)",
        "for c in 'go on': os.write(fd, c.encode()); time.sleep(0.02)",
        "os.write(fd, b'\\r')",
        "print('asked', flush=True)",
        "sys.stdin.readline()",
        "os.kill(pid, 9)",
      ].join("\n");
      const child = Bun.spawn(["python3", "-c", script, stick.program], {
        env: { ...cleanEnvironment, NOCTEM_THREADS: "1" },
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      });
      await child.stdout.getReader().read();
      let heart = "";
      for (let turn = 0; turn < 75 && !heart.includes("length"); turn++) {
        await Bun.sleep(200);
        heart = await stored(stick);
      }
      expect(heart).toContain("onso onso");
      expect(heart).toContain("length");
      void child.stdin.write("\n");
      void child.stdin.end();
      await child.exited;
    },
  );

  test("four writers and a chat on one heart: nothing is lost, and the chat sees it", async () => {
    await using sitting = sit();
    const { chat, stick } = sitting;
    await chat.see(READY);
    await ask(chat, "start");
    await chat.see(/friend\./u);
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let turn = 0; turn < 3; turn++) {
        const { code, stderr } = await run(["-p", `writer ${writer} turn ${turn}`], {
          program: stick.program,
          env: { ...cleanEnvironment, NOCTEM_THREADS: "1" },
        });
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      }
    });
    await ask(chat, "meanwhile");
    await Promise.all(writers);
    const heart = await stored(stick);
    for (let writer = 0; writer < 4; writer++)
      for (let turn = 0; turn < 3; turn++) expect(heart).toContain(`writer ${writer} turn ${turn}`);
    expect(heart).toContain("meanwhile");
    await ask(chat, "/sessions");
    await chat.see(/writer 3 turn 2/u);
  });
});
