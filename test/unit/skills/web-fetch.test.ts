/** What a fetch asks of the monitor, and where a redirect leads. Nothing is fetched: what came back is played. */
import { describe, expect, test } from "bun:test";
import policyJson from "../../../profiles/bark/policy.json";
import type { PreparedCall } from "../../../src/bark/call.ts";
import type { Executor } from "../../../src/bark/execute.ts";
import { literalsOf } from "../../../src/bark/monitor/endorse.ts";
import { type CallReport, type IntentEntry, ReferenceMonitor } from "../../../src/bark/monitor/monitor.ts";
import { permitDesk } from "../../../src/bark/monitor/permit.ts";
import type { Policy } from "../../../src/bark/policy/schema.ts";
import type { Json } from "../../../src/lib/canonical-json.ts";
import type { Label } from "../../../src/lib/label.ts";
import { ok } from "../../../src/lib/result.ts";
import type { FetchReply, FetchRequest } from "../../../src/fetch/protocol.ts";
import { webFetch } from "../../../src/skills/web-fetch.ts";
import { clock, sha256 } from "../../support/cage.ts";
import type { Executed } from "../../../src/bark/outcome.ts";

const policy = policyJson as unknown as Policy;
const label = (c: Label["c"], i: Label["i"], k: readonly string[] = []): Label => ({ c, k, i, p: [] });
const TYPED = label(0, 3);
const LISTED = "https://en.wikipedia.org/wiki/A";

/** A web of answers, and a monitor over it: what was written down, asked, and done, in order. */
function world(replies: Readonly<Record<string, FetchReply>>, answer: "allowed" | "denied" = "allowed") {
  const log: string[] = [];
  const permits = permitDesk(sha256);
  const skill = webFetch({ policy, program: { argv: ["/run/noctem/noctem", "__fetch"], mounts: [] } });
  const requestOf = ({ effect }: PreparedCall): FetchRequest => {
    if (effect.kind !== "process" || effect.stdin === null) throw new Error("nothing is asked for");
    return JSON.parse(new TextDecoder().decode(effect.stdin)) as FetchRequest;
  };
  const executor: Executor = {
    describe: (effect): Json =>
      effect.kind === "process" ? { plan: effect.plan as unknown as Json, stdin: effect.stdin?.toHex() ?? "" } : {},
    execute(permit, prepared) {
      expect(permits.spend(permit, executor.describe(prepared.effect), clock.now())).toBeNull();
      const { url, askRobots } = requestOf(prepared);
      log.push(`done ${url}${askRobots ? "" : " without asking for its rules"}`);
      const { effect } = prepared;
      if (effect.kind !== "process") throw new Error("no process");
      const stdout = JSON.stringify(replies[url] ?? { kind: "refused", why: "status", fact: "404" });
      const read = effect.read(stdout);
      const cage = {
        level: "namespaces",
        code: 0,
        signal: null,
        stopped: null,
        view: null,
        stderr: new Uint8Array(),
        wallMs: 1,
        network: null,
      } as const;
      const executed: Executed = {
        status: read.ok ? "done" : "failed",
        text: read.ok ? read.value : read.error.detail,
        blocked: [],
        incidents: [],
        cage: { ...cage, stdout: new TextEncoder().encode(stdout) },
        level: "namespaces",
        workspace: null,
      };
      return Promise.resolve(executed);
    },
    rehearsed: (effect) => effect,
    rehearse: () => Promise.reject(new Error("nothing here is rehearsed")),
  };
  let seq = 0;
  const monitor = new ReferenceMonitor({
    clearanceOf: () => policy.skills["web_fetch"]?.clearance ?? { c: 0, k: [] },
    tierOf: () => policy.skills["web_fetch"]?.tier ?? 4,
    policy: "hash",
    audit: {
      intent({ object, decision, label: { c, i } }: IntentEntry) {
        log.push(`intent ${object} ${decision.outcome} c${c} i${i}`);
        return ok({ session: "s", seq: seq++ });
      },
      outcome(_ref, { status }) {
        log.push(`outcome ${status}`);
        return ok(undefined);
      },
      approval: () => ok(undefined),
      incident: (kind) => void log.push(`incident ${kind}`),
    },
    approvals: {
      who: "console",
      ask({ prepared, mayRehearse }) {
        log.push(`asked ${prepared.object.name}${mayRehearse ? " or rehearse" : ""}`);
        return Promise.resolve(answer);
      },
    },
    permits,
    executor,
    clock,
  });
  const call = async (url: string, context = TYPED, said = ""): Promise<CallReport> => {
    const prepared = await skill.prepare({ url }, { workspace: "/nowhere", signal: new AbortController().signal });
    if (!prepared.ok) throw new Error(prepared.error.detail);
    const signal = new AbortController().signal;
    return await monitor.call({
      skill: "web_fetch",
      args: { url },
      prepared: prepared.value,
      context,
      said: literalsOf(said),
      plan: null,
      remark: null,
      signal,
    });
  };
  return { call, log, skill };
}

const page = (text: string, rules: string | null = null): FetchReply => ({
  kind: "page",
  title: "T",
  type: "text/html",
  text,
  from: 0,
  total: text.length,
  cut: false,
  rules,
});
const to = (url: string, rules: string | null = null): FetchReply => ({ kind: "redirect", to: url, rules });

describe("a fetch is judged by who asks for what with what in mind", () => {
  test.each([
    ["a listed page, typed", LISTED, TYPED, "", "allow", "default"],
    ["a listed page, by a model that read the web", LISTED, label(0, 0, ["web"]), "", "allow", "default"],
    ["a listed page, after reading files", LISTED, label(1, 0, ["files"]), "", "allow", "default"],
    ["a listed page, with private data in mind", LISTED, label(2, 3, ["heart"]), "", "ask", "egress"],
    ["a listed page, with private data and text from outside in mind", LISTED, label(2, 0, ["heart", "web"]), "", "ask", "trifecta"],
    ["a listed page, with secrets in mind", LISTED, label(3, 3), "", "deny", "egress"],
    ["a page that no rule speaks of, typed", "https://a.example/", TYPED, "read https://a.example", "ask", "policy"],
    ["a page that no rule speaks of, by a model", "https://a.example/?q=x", label(0, 0, ["web"]), "", "ask", "policy"],
    ["a page that no rule speaks of, with secrets in mind", "https://a.example/", label(3, 3), "", "deny", "egress"],
    ["a listed page in the open", "http://en.wikipedia.org/", TYPED, "", "ask", "policy"],
    ["a listed name by another port", "https://en.wikipedia.org:8443/", TYPED, "", "ask", "policy"],
    ["a private address", "http://10.0.0.1/", TYPED, "", "deny", "policy"],
    ["a cloud's own service", "http://169.254.169.254/", TYPED, "", "deny", "policy"],
    ["this computer in IPv6", "http://[::1]:8080/", TYPED, "", "deny", "policy"],
    ["an address in disguise", "http://[::ffff:7f00:1]/", TYPED, "", "deny", "policy"],
    ["a local name by any port", "http://printer.local:8080/", TYPED, "", "deny", "policy"],
  ] as const)("%s", async (_name, url, context, said, outcome, rule) => {
    const { call } = world({}, "denied");
    const { decision } = await call(url, context, said);
    expect(decision.outcome).toBe(outcome);
    expect(decision.spoke.length === 0 ? "default" : decision.spoke).toEqual(
      rule === "default" ? "default" : expect.arrayContaining([rule]),
    );
  });

  test("an address that the model chose is asked about for that too, and one that the person typed is not", async () => {
    const { call } = world({}, "denied");
    const context = label(0, 0, ["web"]);
    const spoke = async (said: string): Promise<readonly string[]> => (await call("https://a.example/", context, said)).decision.spoke;
    expect(await spoke("")).toContain("control-argument");
    expect(await spoke("read https://other.example/")).toContain("control-argument");
    expect(await spoke("read https://A.example please")).not.toContain("control-argument");
  });

  test("what was read is public and from outside, whoever asked", async () => {
    const { call } = world({ [LISTED]: page("text") });
    expect((await call(LISTED)).label).toEqual({ c: 0, k: ["web"], i: 0, p: [LISTED] });
  });
});

describe("a redirect is a call of its own", () => {
  const SECOND = "https://docs.rs/x";
  test("judged, written down and permitted again, with what was read in mind", async () => {
    const { call, log } = world({ [LISTED]: to(SECOND), [SECOND]: page("there") });
    const report = await call(LISTED);
    expect(report).toMatchObject({ status: "done", label: { i: 0, p: [SECOND, LISTED] } });
    expect(report.text).toContain("there");
    expect(log).toEqual([
      `intent ${LISTED} allow c0 i3`,
      `done ${LISTED}`,
      "outcome done",
      `intent ${SECOND} allow c0 i0`,
      `done ${SECOND}`,
      "outcome done",
    ]);
  });

  test("asked about where the first was not", async () => {
    const elsewhere = "https://elsewhere.example/";
    const { call, log } = world({ [LISTED]: to(elsewhere), [elsewhere]: page("there") }, "denied");
    expect(await call(LISTED)).toMatchObject({ status: "denied" });
    expect(log).toContain(`asked ${elsewhere}`);
    expect(log).not.toContain(`done ${elsewhere}`);
  });

  test("the yes to the first is no yes to the next", async () => {
    const [one, two] = ["https://one.example/", "https://one.example/two"];
    const { call, log } = world({ [one]: to(two), [two]: page("there") });
    await call(one);
    expect(log.filter((line) => line.startsWith("asked"))).toEqual([`asked ${one}`, `asked ${two}`]);
  });

  test.each(["http://127.0.0.1/", "http://10.1.2.3/", "http://printer.local/", "http://[::1]/"])("denied to %s", async (url) => {
    const { call, log } = world({ [LISTED]: to(url), [url]: page("there") });
    expect(await call(LISTED)).toMatchObject({ status: "denied", decision: { rule: "policy" } });
    expect(log).toContain(`intent ${url} deny c0 i0`);
    expect(log).not.toContain(`done ${url}`);
  });

  test.each(["http://0x7f.1/", "https://user@docs.rs/", "http://localhost/", "https://docs.rs:25/"])(
    "to %s, which is no address",
    async (url) => {
      const { call, log } = world({ [LISTED]: to(url) });
      const report = await call(LISTED);
      expect(report.status).toBe("denied");
      expect(log.filter((line) => line.startsWith("done"))).toEqual([`done ${LISTED}`]);
    },
  );

  test("followed five times and no more", async () => {
    const at = (n: number): string => `https://en.wikipedia.org/${n}`;
    const chain = (hops: number): Readonly<Record<string, FetchReply>> =>
      Object.fromEntries(Array.from({ length: hops + 1 }, (_, n) => [at(n), n === hops ? page("end") : to(at(n + 1))]));
    const five = world(chain(5));
    expect(await five.call(at(0))).toMatchObject({ status: "done" });
    const six = world(chain(6));
    expect(await six.call(at(0))).toMatchObject({ status: "failed" });
    expect(six.log.filter((line) => line.startsWith("done")).length).toBe(6);
  });

  test("to where the site's rules, known from the hop before, say no", async () => {
    const [open, closed] = ["https://docs.rs/open", "https://docs.rs/closed"];
    const { call, log } = world({ [open]: to(closed, "User-agent: *\nDisallow: /closed"), [closed]: page("there") });
    const report = await call(open);
    expect(report.status).toBe("denied");
    expect(report.text).toContain("robots.txt");
    expect(log).not.toContain(`done ${closed}`);
  });

  test("which does not ask for rules that are known", async () => {
    const [one, two] = ["https://docs.rs/1", "https://docs.rs/2"];
    const { call, log } = world({ [one]: to(two, ""), [two]: page("there", null) });
    await call(one);
    expect(log).toContain(`done ${two} without asking for its rules`);
  });
});

test("what is no reply is said to be none", async () => {
  for (const reply of ["nonsense", { kind: "page" }, { kind: "redirect", to: "x".repeat(5000), rules: null }, null]) {
    const { call } = world({ [LISTED]: reply as unknown as FetchReply });
    const report = await call(LISTED);
    expect(report.status).toBe("failed");
  }
});
