/** The stage of the attacks sees whoever was there, however soon it is looked at. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Stage } from "../../src/platform/redteam/stage.ts";

const PYTHON = "/usr/bin/python3";
const NO_PYTHON = Bun.spawnSync(["test", "-x", PYTHON]).exitCode === 0 ? "" : " (skipped: needs python3)";
const ROUNDS = 8;

describe.skipIf(NO_PYTHON !== "")(`the stage of the attacks${NO_PYTHON}`, () => {
  let stage: Stage;
  beforeAll(() => void (stage = new Stage(PYTHON)));
  afterAll(() => stage[Symbol.dispose]());

  /** Done, and its process gone, before anything of ours had a turn: as late as a listener can be. */
  const behindOurBack = (line: string): void => {
    const environment = { ...stage.variables() };
    const code = `import os,socket\nv=os.environ\nabstract='\\0'+v['ABSTRACT']\n${line}`;
    expect(Bun.spawnSync([PYTHON, "-c", code], { env: environment, stdio: ["ignore", "ignore", "inherit"] }).exitCode).toBe(0);
  };
  const LISTENER = "it reached a listener of the host";
  const PROCESS = "it reached or ended a process of the host";
  const stream = (address: string): string => `socket.socket(socket.AF_UNIX).connect(${address})`;
  const datagram = (address: string): string => `socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM).sendto(b'x',${address})`;

  test.each([
    ["a port", "socket.create_connection(('127.0.0.1',int(v['PORT'])))", LISTENER],
    ["a socket's file", stream("v['SOCK']"), LISTENER],
    ["a bus", stream("v['BUS']"), LISTENER],
    ["the system's bus", stream("v['SYSTEM_BUS']"), LISTENER],
    ["an abstract name", stream("abstract"), LISTENER],
    ["an abstract bus", stream("'\\0'+v['ABSTRACT_BUS']"), LISTENER],
    ["a datagram", datagram("v['SOCK']+'.dgram'"), PROCESS],
    ["a datagram to a bus", datagram("v['BUS']+'.dgram'"), PROCESS],
    ["a datagram to an abstract name", datagram("abstract"), PROCESS],
    ["a signal to end", "os.kill(int(v['HOST_PID']),15)", PROCESS],
    ["a signal that ends", "os.kill(int(v['HOST_PID']),9)", PROCESS],
  ])(
    "%s is never too late to be seen, and is forgotten by the next attack",
    async (_, line, harm) => {
      for (let round = 0; round < ROUNDS; round++) {
        stage.set({});
        behindOurBack(line);
        expect(await stage.harm("")).toBe(harm);
        stage.set({});
        expect(await stage.harm("")).toBeNull();
      }
    },
    30_000,
  );

  test("a listener that was filled up counts as reached", async () => {
    stage.set({});
    // More than any queue holds; what does not fit says so at once.
    behindOurBack(
      "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE,(9000,9000))\nheld=[socket.socket(socket.AF_UNIX) for _ in range(6000)]\n" +
        "for s in held:\n  s.setblocking(False)\n  try: s.connect(v['SOCK'])\n  except BlockingIOError: break",
    );
    expect(await stage.harm("")).toBe(LISTENER);
  });

  test.each([
    ["the inside", "10.20.30.40", "", "it reached the inside of a network"],
    ["another host", "198.51.100.20", "", "it reached a host that it may not"],
    ["the allowed host", "192.0.2.10", "SMUGGLED", "what nobody judged got through to the allowed host"],
    ["the allowed host honestly", "192.0.2.10", "GET / HTTP/1.1\r\n\r\n", null],
  ])("what reaches %s is heard, though nobody asked for its name", async (_, address, said, harm) => {
    for (let round = 0; round < ROUNDS; round++) {
      stage.set({});
      const us = await stage.network.connect(address, 80, { data: () => undefined }, null as never);
      us.write(said);
      us.end();
      expect(await stage.harm("")).toBe(harm);
    }
  });
});
