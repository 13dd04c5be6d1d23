/** `bun cage-child.ts WORKSPACE read|write MARK SCRIPT`: runs a Python script in a cage, passes its output on, and waits. To be killed. */
import { describeRun } from "../../src/bark/cage/describe.ts";
import { commandPlan } from "../../src/bark/cage/plan.ts";
import { PermitDesk } from "../../src/bark/monitor/permit.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { clock, LIMITS, sha256 } from "./cage.ts";

const [workspace = "", mode = "", mark = "", script = ""] = process.argv.slice(2);
const permits = new PermitDesk(sha256);
using cage = hostCage({ permits, clock, sha256, env: process.env });
const plan = commandPlan({
  profile: "test",
  tier: 2,
  argv: ["/usr/bin/python3", "-c", script, mark],
  workspace,
  writes: mode === "write",
  network: { kind: "none" },
  limits: { ...LIMITS, wallMs: 60_000 },
  env: {},
});
const permit = permits.mint(describeRun(plan, null, sha256), clock.now());
await cage.run(permit, plan, {
  stdin: null,
  signal: new AbortController().signal,
  onOutput: (_stream, bytes) => void process.stdout.write(bytes),
});
