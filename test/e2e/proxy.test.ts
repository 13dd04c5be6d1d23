/** The executable's own way out, in a network of the test's own: a call names a host, a person is asked, and one server hears one program. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { linkSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { StageResult } from "../support/net-names.ts";
import { NetworkStage, NO_NETWORK } from "../support/network.ts";
import { binary, run, tempDir, type TempDir } from "../support/noctem.ts";

const why = NO_NETWORK === null ? "" : ` (skipped: ${NO_NETWORK})`;

describe.skipIf(NO_NETWORK !== null)(`noctem bark run with hosts${why}`, () => {
  let dir: TempDir;
  let stage: NetworkStage;
  let program = "";
  beforeAll(async () => {
    dir = tempDir("noctem-proxy-");
    mkdirSync(join(dir.path, "stick"));
    program = join(dir.path, "stick/noctem");
    linkSync(binary(), program);
    stage = new NetworkStage();
    await stage.start();
  });
  afterAll(async () => {
    await stage[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  });
  const ask = async (answer: "yes" | "no" | null, ...args: readonly string[]): Promise<StageResult> =>
    await stage.play({ program, args: ["bark", "run", ...args], answer });

  test("asks with the host and what may go there; after a yes it is reached, and nothing else, and all of it is told", async () => {
    const command = "command=curl -sS --cacert ca.crt https://docs.rs/; curl -sS https://other.example/; true";
    const { code, out, heard, asked } = await ask("yes", "shell", command, "hosts=docs.rs");
    expect(out).toContain("docs.rs:443 by HTTPS, unread (host.reading)");
    expect(out).toContain("Whatever it can read it may send there, at most 1 MB");
    expect(out).toContain("you reached 192.0.2.10 port 443");
    expect(out).toContain("blocked: other.example:443: other.example:443 is none of the hosts that this call may reach.");
    expect({ code, heard: Object.keys(heard), asked }).toEqual({ code: 0, heard: ["192.0.2.10 443"], asked: ["docs.rs"] });
    const blocked = await run(["bark", "blocked"], { program });
    expect(blocked.stdout).toContain("other.example:443");
  }, 30_000);

  test("after a no, and without hosts, nothing is reached and no name is looked up; what was reached is told as data too", async () => {
    const no = await ask("no", "shell", "command=curl -sS --cacert ca.crt https://docs.rs/", "hosts=docs.rs");
    expect([no.code, no.heard, no.asked]).toEqual([9, {}, []]);
    const json = await ask("yes", "--json", "shell", "command=curl -sS --cacert ca.crt https://docs.rs/", "hosts=docs.rs");
    const { network } = JSON.parse(/^\{.*\}$/m.exec(json.out.replaceAll("\r", ""))?.[0] ?? "{}") as { network?: { requests: unknown } };
    expect(network?.requests).toMatchObject([{ kind: "connect", host: "docs.rs", port: 443, verdict: "allowed", rule: "host.reading" }]);
    const without = await ask("yes", "shell", "command=curl -sS -m 2 --cacert ca.crt https://docs.rs/; curl -sS -m 2 http://192.0.2.10/");
    expect([without.out.includes("without a network"), without.heard, without.asked]).toEqual([true, {}, []]);
  }, 30_000);

  test("what the policy opens for no program is refused without a question", async () => {
    const { code, out, heard, asked } = await ask(null, "shell", "command=true", "hosts=docs.rs,example.org");
    expect(out).toContain("The policy opens example.org:443 for no program of shell");
    expect([code, heard, asked]).toEqual([9, {}, []]);
  }, 30_000);
});
