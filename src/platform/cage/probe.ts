/** Runs the probe in real cages of this host: those of the tiers, through the one runner, and those of our own children. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeRun } from "../../bark/cage/describe.ts";
import { commandPlan } from "../../bark/cage/plan.ts";
import { type CageFacts, NAMESPACES, probeCommand, readProbe } from "../../bark/cage/probe.ts";
import type { CagePlan, ChildPlan, Limits, ViewKind } from "../../bark/cage/types.ts";
import type { PermitDesk } from "../../bark/monitor/permit.ts";
import type { Clock } from "../../lib/ports.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { cagedCommand, type NoCage } from "./own.ts";
import { namespaceOf } from "./own-facts.ts";
import type { HostCage } from "./runner.ts";

/** Milliseconds: the script takes some twenty. */
const PATIENCE = 10_000;

const facts = (text: string): CageFacts | null =>
  readProbe(text, Object.fromEntries(NAMESPACES.map((name) => [name, namespaceOf("self", name)])));

/** The probe in the cage of one of our own children. The error is what is missing, or that the cage broke. */
export async function probeChild(
  plan: (command: readonly string[]) => ChildPlan,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Result<CageFacts, NoCage>> {
  using stage = new ProbeStage();
  const caged = cagedCommand(plan(probeCommand(stage.secret)), env);
  if (!caged.ok) return caged;
  using command = caged.value;
  const child = Bun.spawn([...command.command], {
    stdio: ["ignore", "pipe", "pipe", ...command.descriptors],
    env: {},
    cwd: "/",
    timeout: PATIENCE,
    killSignal: "SIGKILL",
  });
  const [out, said] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  const found = facts(out);
  return found === null ? err(broken(said)) : ok(found);
}

export interface TierFacts extends CageFacts {
  /** How it may write; null where it may not. */
  readonly view: ViewKind | null;
}

/** The same in the cage of a tier, over a workspace made for it. */
export const probeTier = (tier: 1 | 2 | 3, limits: Limits, tools: ProbeTools): Promise<Result<TierFacts, NoCage>> =>
  probePlan(
    (argv, workspace) =>
      commandPlan({ profile: "doctor", tier, argv, workspace, writes: tier === 3, network: { kind: "none" }, limits, env: {} }),
    tools,
  );

/** The same in the cage of any plan, through the one runner and with a permit. */
export async function probePlan(
  planOf: (argv: readonly string[], workspace: string) => CagePlan,
  { cage, permits, clock, sha256 }: ProbeTools,
): Promise<Result<TierFacts, NoCage>> {
  using stage = new ProbeStage();
  const asked = planOf(probeCommand(stage.secret), stage.workspace);
  const plan = { ...asked, limits: { ...asked.limits, wallMs: Math.min(asked.limits.wallMs, PATIENCE) } };
  const permit = permits.mint(describeRun(plan, null, sha256), clock.now());
  const ran = await cage.run(permit, plan, { stdin: null, signal: new AbortController().signal });
  if (!ran.ok) {
    const { error } = ran;
    if (error.kind === "no-cage") return err({ level: error.level, detail: error.detail, fix: error.fix });
    return err(broken(error.kind === "no-permit" ? error.fault : error.detail));
  }
  const found = facts(new TextDecoder().decode(ran.value.stdout));
  return found === null ? err(broken(new TextDecoder().decode(ran.value.stderr))) : ok({ ...found, view: ran.value.view });
}

export interface ProbeTools {
  readonly cage: HostCage;
  readonly permits: PermitDesk;
  readonly clock: Clock;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
}

const broken = (said: string): NoCage => ({
  level: "none",
  detail: said.split("\n", 1)[0]?.slice(0, 300) || "The probe did not come to its end.",
  fix: "",
});

/** Something that is there to be found by whoever sees more of the host than it should, and a workspace beside it. */
export class ProbeStage implements Disposable {
  readonly #folder: string;
  readonly secret: string;
  readonly workspace: string;

  constructor() {
    this.#folder = folderOutsideOfTmp();
    this.secret = join(this.#folder, "secret");
    this.workspace = join(this.#folder, "workspace");
    writeFileSync(this.secret, "secret\n", { mode: 0o600 });
    mkdirSync(this.workspace);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** /tmp is an empty folder in every cage, and proves nothing. */
function folderOutsideOfTmp(): string {
  for (const place of ["/var/tmp", tmpdir()]) {
    try {
      return realpathSync(mkdtempSync(join(place, "noctem-probe-")));
    } catch {
      // The next one.
    }
  }
  throw new Error("no folder for the probe");
}
