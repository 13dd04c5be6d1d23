/** Runs in a namespace of mounts that is its own: something is mounted over a folder of the workspace while a cage stands ready. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandPlan } from "../../src/bark/cage/plan.ts";
import { describeRun } from "../../src/bark/cage/describe.ts";
import { PermitDesk } from "../../src/bark/monitor/permit.ts";
import { hostCage } from "../../src/platform/cage/runner.ts";
import { clock, LIMITS, sha256 } from "./cage.ts";

const workspace = process.env["ROOM"] ?? "";
const permits = new PermitDesk(sha256);
using cage = hostCage({ permits, clock, sha256, env: process.env });
const run = async (command: string): Promise<string> => {
  const plan = commandPlan({
    profile: "shell",
    tier: 2,
    argv: ["/bin/sh", "-c", command],
    workspace,
    writes: false,
    network: { kind: "none" },
    limits: LIMITS,
    env: {},
  });
  const permit = permits.mint(describeRun(plan, null, sha256), clock.now());
  const ran = await cage.run(permit, plan, { stdin: null, signal: new AbortController().signal });
  if (!ran.ok) throw new Error(JSON.stringify(ran.error));
  return new TextDecoder().decode(ran.value.stdout);
};
const folder = join(workspace, "sub");
mkdirSync(folder);
writeFileSync(join(folder, "b.txt"), "hello\n");
const READY = "tr '\\0' ' ' < /proc/1/cmdline";
const before = await run("cat sub/b.txt");
const ready = (await run(READY)).includes("--standby");
await Bun.sleep(100);
if (Bun.spawnSync(["mount", "-t", "tmpfs", "none", folder]).exitCode !== 0) throw new Error("cannot mount");
writeFileSync(join(folder, "b.txt"), "mounted\n");
const after = await run("cat sub/b.txt");
const again = (await run(READY)).includes("--standby");
console.log(JSON.stringify({ before, ready, after, again }));
