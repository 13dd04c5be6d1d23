/** A real cage on this host, and plans for it. */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildHelper } from "../../scripts/build/helper.ts";
import { describeRun } from "../../src/bark/cage/describe.ts";
import { type CommandOptions, commandPlan } from "../../src/bark/cage/plan.ts";
import type { CageError, CageInput, CageOutcome, CagePlan, Limits } from "../../src/bark/cage/types.ts";
import { PermitDesk } from "../../src/bark/monitor/permit.ts";
import type { Clock } from "../../src/lib/ports.ts";
import type { Millis } from "../../src/lib/brand.ts";
import type { Result } from "../../src/lib/result.ts";
import { findBwrap, probeHost } from "../../src/platform/cage/host.ts";

const built = buildHelper();
/** Why there can be no cage here; null where there can. */
export const NO_CAGE: string | null =
  typeof built === "string"
    ? built
    : findBwrap() === null
      ? "bubblewrap is not installed"
      : probeHost(0).level === "namespaces"
        ? null
        : probeHost(0).detail;

export const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(new Bun.CryptoHasher("sha256").update(bytes).digest());
export const clock: Clock = { now: () => Date.now() as Millis, monotonic: () => performance.now() };

export const LIMITS: Limits = {
  wallMs: 20_000,
  cpuSeconds: 20,
  memoryBytes: 1 << 30,
  processes: 100,
  outputBytes: 1 << 20,
  openFiles: 256,
  fileBytes: 64 << 20,
  diskBytes: 64 << 20,
};

export interface Ran {
  readonly code: number | null;
  readonly stopped: CageOutcome["stopped"];
  readonly out: string;
  readonly err: string;
}

/** A workspace in a folder of its own, a host cage, and commands run in it. */
export class CageRoom implements Disposable {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "noctem-cage-")));
  readonly workspace = join(this.folder, "workspace");
  readonly permits = new PermitDesk(sha256);
  readonly #cage: Disposable & { run: import("../../src/bark/cage/types.ts").Cage["run"] };

  constructor(cageOf: (permits: PermitDesk) => Disposable & { run: import("../../src/bark/cage/types.ts").Cage["run"] }) {
    this.#cage = cageOf(this.permits);
  }

  plan(argv: readonly string[], options: Partial<CommandOptions> = {}): CagePlan {
    return commandPlan({
      profile: "shell",
      tier: 2,
      argv,
      workspace: this.workspace,
      writes: false,
      network: { kind: "none" },
      limits: LIMITS,
      env: {},
      ...options,
    });
  }

  async run(plan: CagePlan, input: Partial<CageInput> = {}): Promise<Result<CageOutcome, CageError>> {
    const stdin = input.stdin ?? null;
    const permit = this.permits.mint(describeRun(plan, stdin, sha256), clock.now());
    return await this.#cage.run(permit, plan, { stdin, signal: new AbortController().signal, ...input });
  }

  /** A shell command that has to get as far as a shell. */
  async sh(command: string, options: Partial<CommandOptions> = {}, input: Partial<CageInput> = {}): Promise<Ran> {
    const ran = await this.run(this.plan(["/bin/sh", "-c", command], options), input);
    if (!ran.ok) throw new Error(JSON.stringify(ran.error));
    const { code, stopped, stdout, stderr } = ran.value;
    return { code, stopped, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
  }

  [Symbol.dispose](): void {
    this.#cage[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
