/** What `doctor` asks of the host. Every probe answers, whatever the host lacks; none changes anything but a folder of libraries that is removed again. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { cleanEnv } from "./child-env.ts";
import { findBwrap } from "./cage/host.ts";
import { probeHost } from "./host-probe.ts";
import { GPU_PACKS, type GpuPackError, type GpuPackName, verifyGpuPack } from "./native/gpu-pack.ts";
import { type NativeError, unpackNative } from "./native/unpack.ts";

export interface HostFacts {
  /** `PRETTY_NAME` of os-release, or the kernel's name. */
  readonly system: string;
  readonly kernel: string;
  readonly processor: string;
  readonly cores: number;
  /** Bytes. A container's own limit where it is lower. */
  readonly memory: number;
  readonly memoryFree: number;
  /** Inside WSL, or a container's name; null on a plain host. */
  readonly inside: "WSL 1" | "WSL 2" | "docker" | "podman" | "container" | null;
}

export function hostFacts(): HostFacts {
  const pretty = /^PRETTY_NAME="?([^"\n]*)"?$/mu.exec(read("/etc/os-release") ?? "")?.[1];
  const { cores, totalMemory, availableMemory } = probeHost({ gpuPack: false });
  return {
    system: pretty ?? process.platform,
    kernel: release(),
    processor: cpus()[0]?.model.trim() ?? process.arch,
    cores,
    memory: totalMemory,
    memoryFree: availableMemory,
    inside: inside(),
  };
}

function inside(): HostFacts["inside"] {
  const kernel = read("/proc/sys/kernel/osrelease") ?? "";
  if (/microsoft/iu.test(kernel)) return /WSL2/iu.test(kernel) || existsSync("/run/WSL") ? "WSL 2" : "WSL 1";
  if (existsSync("/run/.containerenv")) return "podman";
  if (existsSync("/.dockerenv")) return "docker";
  const name = read("/run/systemd/container");
  if (name !== null || /\b(docker|lxc|kubepods|containerd)\b/u.test(read("/proc/1/cgroup") ?? "")) return "container";
  return null;
}

export interface TrialFacts {
  /** Null where the program is missing. */
  readonly path: string | null;
  readonly version: string | null;
  readonly works: boolean;
  /** One line, when it does not work. */
  readonly detail: string;
}

/** Whether an ordinary child can have namespaces of its own: tried, because five different switches can forbid it. */
export async function userNamespaces(): Promise<TrialFacts & { readonly switches: readonly string[] }> {
  const path = Bun.which("unshare");
  const trial = path === null ? { ok: false, text: "" } : await attempt([path, "--user", "--map-root-user", "true"]);
  const switches = [
    ["/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=0"],
    ["/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=1"],
    ["/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=0"],
  ] as const;
  return {
    path,
    version: null,
    works: trial.ok,
    detail: trial.text,
    switches: switches.filter(([file, value]) => read(file)?.trim() === value).map(([, , name]) => name),
  };
}

export async function bubblewrap(): Promise<TrialFacts> {
  // The one that cages are made with, wherever PATH leads.
  const path = findBwrap();
  if (path === null) return { path, version: null, works: false, detail: "" };
  const version = await attempt([path, "--version"]);
  const trial = await attempt([path, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev", "true"]);
  return { path, version: /\d[\d.]*/u.exec(version.text)?.[0] ?? null, works: trial.ok, detail: trial.text };
}

/** Seconds are plenty for `true`; a hung one must not hang the doctor. */
const TRIAL_LIMIT = 5000;

async function attempt(argv: readonly string[]): Promise<{ readonly ok: boolean; readonly text: string }> {
  try {
    const child = Bun.spawn([...argv], {
      stdio: ["ignore", "pipe", "pipe"],
      env: cleanEnv(process.env),
      timeout: TRIAL_LIMIT,
      killSignal: "SIGKILL",
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const code = await child.exited;
    return { ok: code === 0, text: `${err}${out}`.trim().split("\n", 1)[0]?.slice(0, 200) ?? "" };
  } catch (error) {
    return { ok: false, text: error instanceof Error ? error.message : String(error) };
  }
}

/** Unpacks and loads the engine's libraries as a start would. Null when they work. */
export function nativeTrial(): NativeError | null {
  const unpacked = unpackNative();
  if (!unpacked.ok) return unpacked.error;
  unpacked.value.release();
  return null;
}

export interface GpuFacts {
  /** Names of what the kernel shows. */
  readonly devices: readonly string[];
  readonly packs: readonly { readonly name: GpuPackName; readonly error: Exclude<GpuPackError, { kind: "absent" }> | null }[];
}

export function gpuFacts(folder: string, version: string): GpuFacts {
  const packs = GPU_PACKS.flatMap((name): GpuFacts["packs"] => {
    const checked = verifyGpuPack(join(folder, name), version);
    if (checked.ok) return [{ name, error: null }];
    return checked.error.kind === "absent" ? [] : [{ name, error: checked.error }];
  });
  return { devices: gpuDevices(), packs };
}

function gpuDevices(): readonly string[] {
  const nvidia = entries("/proc/driver/nvidia/gpus").map(
    (gpu) => /^Model:\s+(.+)$/mu.exec(read(`/proc/driver/nvidia/gpus/${gpu}/information`) ?? "")?.[1] ?? "NVIDIA GPU",
  );
  const render = entries("/dev/dri").filter((name) => name.startsWith("renderD"));
  return nvidia.length > 0 ? nvidia : render.map((name) => `/dev/dri/${name}`);
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
