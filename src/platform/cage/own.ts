/**
 * Starts Noctem's own children in their cages, or without one where this host has none; which of the two it was is in the answer and is never left unsaid.
 */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { bwrapOptions, innerCommand } from "../../bark/cage/argv.ts";
import type { ChildPlan } from "../../bark/cage/types.ts";
import type { CageLevel } from "../../lib/cage-level.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { guardDevices } from "./devices.ts";
import { type CageHost, probeHost, tryHost } from "./host.ts";
import { argumentsFile } from "./arguments.ts";
import { unpackParts, type UnpackedParts } from "./parts.ts";

/** A plan as something to spawn. Dispose as soon as the child says its first word, or is gone: what stood ready on the host is mounted by then. */
export interface CagedCommand extends Disposable {
  readonly level: CageLevel;
  readonly command: readonly string[];
  /** Descriptors 3 and up of the child. Closed here, once it is started, by `started()`. */
  readonly descriptors: readonly number[];
  started(): void;
}

export interface NoCage {
  readonly level: CageLevel;
  /** Sentences. */
  readonly detail: string;
  readonly fix: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Probed once a process; a host does not change its mind. */
let known: OwnHost | null = null;

type OwnHost = Pick<CageHost, "level" | "bwrap" | "detail" | "fix">;

/** What this host has for children of our own. `parts` are those that a caller has unpacked already. */
function ownCageHost(parts: Pick<UnpackedParts, "landlockAbi">): OwnHost {
  return (known ??= probeHost(parts.landlockAbi));
}

/** Begins to find out, for whoever will start a child in a moment and has other things to do until then: 5 ms that nobody waits for. */
export function foresee(): void {
  if (known === null) void tryHost().then((found) => (known ??= found));
}

/** The error says what this host lacks; whoever asked decides whether the child may run all the same. */
export function cagedCommand(
  plan: ChildPlan,
  env: Env,
  host: (parts: UnpackedParts) => OwnHost = ownCageHost,
): Result<CagedCommand, NoCage> {
  const unpacked = unpackParts(env);
  if (!unpacked.ok) return err({ level: "none", detail: unpacked.error, fix: "Use a build that has one." });
  const parts = unpacked.value;
  const opened: number[] = [];
  const close = (): void => opened.splice(0).forEach((fd) => closeSync(fd));
  try {
    const { level, bwrap, detail, fix } = host(parts);
    if (level !== "namespaces" || bwrap === null) {
      parts[Symbol.dispose]();
      return err({ level: "none", detail, fix });
    }
    const filters = plan.seccomp === "deny+allow" ? [parts.filters.deny, parts.filters.allow] : [parts.filters.deny];
    const files = parts.files(4 + filters.length);
    opened.push(...filters.map((path) => openSync(path, "r")), ...files.map((file) => file.opened));
    const words = bwrapOptions(plan, parts, { seccomp: filters.map((_, index) => 4 + index), files });
    opened.unshift(argumentsFile(join(parts.folder, "args"), words));
    return ok({
      level,
      command: guardDevices([bwrap, "--args", "3", "--", ...innerCommand(plan)], { plan, parts }),
      descriptors: [...opened],
      started: close,
      [Symbol.dispose]() {
        close();
        parts[Symbol.dispose]();
      },
    });
  } catch (error) {
    close();
    parts[Symbol.dispose]();
    throw error;
  }
}
