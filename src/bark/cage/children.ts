import type { CageLevel } from "../../lib/cage-level.ts";
import { HOME } from "./argv.ts";
import type { CageNetwork, ChildPlan, Limits, Mount } from "./types.ts";

/**
 * The cages of Noctem's own children. No permit is spent on them, because no skill asked: the program starts them for itself. They are held all
 * the same, because each of them parses what a stranger made: a model file, a data set. What reads web pages is a skill's call and has a permit (src/skills/web-fetch.ts).
 */

/**
 * The least that each may run under. The engine ran before there were cages and goes on where there is none, and says so with every answer; the
 * trainer refuses.
 */
export const CHILD_FLOORS: Readonly<Record<ChildPlan["profile"], CageLevel>> = {
  engine: "none",
  trainer: "namespaces",
};

/** What this program is made of on the host: paths resolved, free of links, all read-only. */
export interface ProgramFacts {
  /** How it starts itself as this child. */
  readonly command: readonly string[];
  readonly files: readonly string[];
}

/** What describes the processor, and what a GPU's driver needs to be reached where one is used. Absolute, resolved. */
export interface DeviceFacts {
  readonly devices: readonly string[];
  /** Of /sys, /etc and where drivers lie. */
  readonly folders: readonly string[];
}

/** A file or folder that the child is told of by `path`, which may lead over links to `real`. */
export interface SeenPath {
  readonly path: string;
  readonly real: string;
}

interface ChildFacts {
  readonly program: ProgramFacts;
  readonly machine: DeviceFacts;
  /** Already reduced to what the child may know. */
  readonly env: Readonly<Record<string, string>>;
}

export interface EngineFacts extends ChildFacts {
  /** Folders of models, and single files of other programs on this computer. */
  readonly models: readonly SeenPath[];
}

export interface TrainerFacts extends ChildFacts {
  readonly bases: readonly SeenPath[];
  readonly dataset: SeenPath;
  /** A folder made for this run, writable. */
  readonly output: string;
}

/** llama.cpp over models that are read only; its libraries are unpacked into its own memory. */
export function enginePlan({ program, models, machine, env }: EngineFacts): ChildPlan {
  return child("engine", program, { env, mounts: [...seen(models), ...machineMounts(machine)], limits: UNHURRIED, seccomp: "deny" });
}

/** Reads base models and one file of examples, writes one folder. */
export function trainerPlan({ program, bases, dataset, output, machine, env }: TrainerFacts): ChildPlan {
  const mounts: readonly Mount[] = [
    ...seen([...bases, dataset]),
    { kind: "read-write", from: output, to: output },
    ...machineMounts(machine),
  ];
  return child("trainer", program, { env, mounts, limits: UNHURRIED, seccomp: "deny" });
}

/** Room for the libraries (30 MB), what a driver caches, and little else: writes go to memory that a model needs. Bytes. */
const SCRATCH = 512 << 20;

/**
 * Nothing here ends a child that works: a model takes the memory and the time that it takes, and whoever started it watches it. The number of processes alone is bounded, far
 * above the threads of the largest machine.
 */
export const UNHURRIED: Limits = {
  wallMs: Infinity,
  cpuSeconds: Infinity,
  memoryBytes: Infinity,
  processes: 8192,
  outputBytes: Infinity,
  openFiles: 65_536,
  fileBytes: Infinity,
  diskBytes: SCRATCH,
};

const NO_NETWORK: CageNetwork = { kind: "none" };

function child(
  profile: ChildPlan["profile"],
  program: ProgramFacts,
  { env, mounts, limits, seccomp }: Pick<ChildPlan, "env" | "limits" | "seccomp"> & { readonly mounts: readonly Mount[] },
): ChildPlan {
  return {
    profile,
    argv: program.command,
    cwd: "/",
    // A folder in memory where code may run, before any of the host's: what is unpacked there is gone with the child.
    env: { ...env, XDG_RUNTIME_DIR: "/tmp", ...("HOME" in env ? { HOME } : {}), ...("TMPDIR" in env ? { TMPDIR: "/tmp" } : {}) },
    mounts: arrange([...program.files.map(readOnly), ...mounts]),
    workspace: null,
    seccomp,
    network: NO_NETWORK,
    limits,
  };
}

const readOnly = (path: string): Mount => ({ kind: "read-only", from: path, to: path });

/** At its own place, and where the child looks for it when a link led there. */
const seen = (paths: readonly SeenPath[]): readonly Mount[] =>
  paths.flatMap(({ path, real }) => [readOnly(real), { kind: "read-only", from: real, to: path } as const]);

const machineMounts = ({ devices, folders }: DeviceFacts): readonly Mount[] => [
  ...folders.map(readOnly),
  ...devices.map((path): Mount => ({ kind: "device", from: path, to: path })),
];

/** Bound whole in every cage; a mount over a part of them could run into a link of the host's. */
const SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/** The cage's own; nothing of the host takes their place. */
const TAKEN = ["/proc", "/run/noctem"];

/**
 * Parents before what lies below them, each place once, and nothing that is there already: what lies in a folder that is bound is seen in it, links included.
 */
export function arrange(mounts: readonly Mount[]): readonly Mount[] {
  const kept: Mount[] = [];
  for (const mount of mounts.toSorted((a, b) => (a.to < b.to ? -1 : a.to > b.to ? 1 : 0))) {
    if (mount.kind === "read-only" && SYSTEM.some((folder) => within(mount.to, folder))) continue;
    if (TAKEN.some((folder) => within(mount.to, folder))) continue;
    // The nearest folder decides: what is only read stays so in one that is written.
    const around = kept.findLast((at) => within(mount.to, at.to));
    if (around?.kind !== mount.kind) kept.push(mount);
  }
  return kept;
}

const within = (path: string, folder: string): boolean => path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
