import { CHILD_FLOORS } from "../bark/cage/children.ts";
import { reaches, TIER_FLOORS } from "../bark/cage/floors.ts";
import { type CageFacts, missingWalls } from "../bark/cage/probe.ts";
import type { ChildPlan } from "../bark/cage/types.ts";
import type { CageHost } from "../platform/cage/host.ts";
import type { NoCage } from "../platform/cage/own.ts";
import type { TierFacts } from "../platform/cage/probe.ts";
import type { Result } from "../lib/result.ts";
import { broken, type Finding, ok, warning } from "./doctor-finding.ts";
import { ExitCode } from "./exit-code.ts";

/** Findings about cages, as words. What was found is proved by a probe that ran in the very cage; nothing here asks for versions. */

export function checkHostCage(host: CageHost, inside: string | null): readonly Finding[] {
  const made = host.level === "namespaces";
  return [
    host.bwrap === null ? broken("bubblewrap", "not installed", ExitCode.NO_CAGE, { fix: host.fix }) : ok("bubblewrap", host.bwrap),
    made
      ? ok("namespaces", "a cage was built and torn down")
      : broken("namespaces", plain(host.detail), ExitCode.NO_CAGE, host.bwrap === null ? {} : { fix: host.fix }),
    host.landlockAbi > 0
      ? ok("Landlock", `version ${host.landlockAbi}, a second fence around files`)
      : warning("Landlock", "this kernel has none: every cage has one fence less", "Nothing has to be done; a kernel from 5.13 on has it."),
    ...(inside === null ? [] : [insideOf(inside, made)]),
  ];
}

const insideOf = (inside: string, made: boolean): Finding =>
  made
    ? ok("inside", `${inside}, which lets cages be made`)
    : warning(
        "inside",
        `${inside}; most of these forbid what a cage is made of`,
        "Use Noctem on the computer itself, or see the line on namespaces.",
      );

/** `processes` of the limits that the tier's skills have. */
export function checkTier(
  tier: 0 | 1 | 2 | 3,
  host: CageHost,
  probed: Result<TierFacts, NoCage> | null,
  processes: number,
): readonly Finding[] {
  const { what, floor } = TIER_FLOORS[tier];
  const name = `tier ${tier}`;
  if (floor === "none" && !reaches(host.level, "namespaces"))
    return [ok(name, `${what}: no program runs, so it needs no cage (level here: ${host.level})`)];
  if (probed === null) return [ok(name, `${what}: in this program, which reads and does nothing else`)];
  if (!probed.ok) {
    const text = `${what}: refused here, at level ${host.level}${reasonOf(probed.error, host.detail)}`;
    return [broken(name, text, ExitCode.NO_CAGE, fixOf(probed.error))];
  }
  const missing = missingWalls(probed.value, processes);
  if (missing.length > 0) return [broken(name, `${what}: ${missing.join("; ")}`, ExitCode.NO_CAGE, { fix: LEAKS })];
  const walls = ok(name, `${what}: ${WALLS}`);
  return tier === 3 ? [walls, ...checkView(probed.value)] : [walls];
}

const WALLS = "own namespaces, no network, no capability, system calls filtered, read-only root, limits set (level namespaces)";
const LEAKS = "Do not use skills on this computer, and report this: a cage was built here that does not hold.";

function checkView({ view }: TierFacts): readonly Finding[] {
  if (view === "overlay") return [ok("workspace", "programs write into an overlay, which is judged before it is kept")];
  return [
    warning(
      "workspace",
      "overlays cannot be mounted here: programs write into a copy, which is slower and bounded in size",
      "A kernel from 5.11 on has overlays for ordinary users.",
    ),
  ];
}

type Child = ChildPlan["profile"] | "fetch";

const CHILDREN: Readonly<Record<Child, string>> = {
  engine: "what runs models",
  trainer: "what will train adapters",
  fetch: "what reads web pages",
};

/** `known`: what this host lacks, where a line above said it already. */
export function checkChild(profile: Child, probed: Result<CageFacts, NoCage>, processes: number, known: string): Finding {
  const name = `${profile}'s cage`;
  const what = CHILDREN[profile];
  if (!probed.ok) {
    const why = reasonOf(probed.error, known);
    return profile !== "fetch" && CHILD_FLOORS[profile] === "none"
      ? warning(name, `${what} runs without one here${why}`, fixOf(probed.error).fix)
      : broken(name, `${what} is refused here${why}`, ExitCode.NO_CAGE, fixOf(probed.error));
  }
  const missing = missingWalls(probed.value, processes);
  return missing.length === 0
    ? ok(name, `${what}: ${profile === "fetch" ? WALLS.replace("no network", "no network but the proxy") : WALLS}`)
    : broken(name, `${what}: ${missing.join("; ")}`, ExitCode.NO_CAGE, { fix: LEAKS });
}

/** `null`: not tried, because this user may not make one. */
export function checkGroups(made: boolean | null): Finding {
  if (made === true) return ok("control groups", "each run has one: the kernel counts its processes and memory");
  const text = "none can be made: processes and memory of a run are added up from outside, twenty times a second";
  return made === null
    ? ok("control groups", text)
    : warning(
        "control groups",
        text,
        "As root, make /sys/fs/cgroup writable for this program; a fork bomb that root runs is otherwise stopped late.",
      );
}

/** `services`: what the policy names. `proxy`: what filters a bus, where it is installed. */
export function checkBus(services: readonly string[], proxy: string | null): Finding {
  if (services.length === 0) return ok("D-Bus", "in no cage: the policy names no service");
  const named = services.join(", ");
  return proxy === null
    ? broken("D-Bus", `the policy names ${named}, and what filters a bus is not installed`, ExitCode.NO_CAGE, {
        fix: "Install it: apt-get install xdg-dbus-proxy (or dnf, pacman, zypper: the package has that name).",
      })
    : ok("D-Bus", `${named}, and nothing else, through ${proxy}`);
}

export function checkGpuNodes(devices: readonly string[], packs: boolean): Finding {
  if (!packs) return ok("GPU nodes", "none in any cage: no libraries for a GPU lie beside the program");
  if (devices.length === 0) return ok("GPU nodes", "this computer shows none");
  const nvidia = devices.includes("/dev/nvidiactl") && !devices.includes("/dev/nvidia-uvm");
  return nvidia
    ? warning(
        "GPU nodes",
        `${devices.join(", ")}, but not /dev/nvidia-uvm, which CUDA needs`,
        "As root: nvidia-modprobe -u -c=0. A cage cannot make it.",
      )
    : ok("GPU nodes", `${devices.join(", ")} in the engine's and the trainer's cage`);
}

const plain = (sentence: string): string => sentence.replace(/\.$/u, "");
const reasonOf = ({ detail }: NoCage, known: string): string => (detail === known ? "" : `: ${plain(detail)}`);
const fixOf = ({ fix }: NoCage): { readonly fix: string | null } => ({ fix: fix === "" ? null : fix });
