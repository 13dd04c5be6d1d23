import { join } from "node:path";
import type { StickLayout } from "../config/layout.ts";
import type { HeartError, HeartMode } from "../heart/port.ts";
import type { ListedModel } from "../models/port.ts";
import type { GpuFacts, HostFacts, TrialFacts } from "../platform/doctor-probes.ts";
import type { Filesystem, FilesystemError } from "../platform/filesystem.ts";
import type { NativeError } from "../platform/native/unpack.ts";
import type { Result } from "../lib/result.ts";
import { bytesText } from "./bytes-text.ts";
import { heartErrorText } from "./error-text.ts";
import { broken, type Finding, ok, warning } from "./doctor-finding.ts";
import { ExitCode } from "./exit-code.ts";

export function checkHost(host: HostFacts): readonly Finding[] {
  const text = `${host.system}, kernel ${host.kernel}, ${host.processor}, ${host.cores} core${host.cores === 1 ? "" : "s"}`;
  const memory = `${bytesText(host.memoryFree)} of ${bytesText(host.memory)} free`;
  return [
    host.inside === "WSL 1"
      ? broken("host", `${text}, inside WSL 1`, ExitCode.ENGINE, { fix: "Convert the distribution to WSL 2: wsl --set-version NAME 2." })
      : ok("host", `${text}${host.inside === null ? "" : `, inside ${host.inside}`}`),
    host.memoryFree < 700e6
      ? warning("memory", memory, "Close other programs; the smallest model needs about 500 MB.")
      : ok("memory", memory),
  ];
}

export function checkClock(now: number, oldest: number): Finding {
  const shown = new Date(now).toISOString().slice(0, 16).replace("T", " ");
  if (now < oldest)
    return warning(
      "clock",
      `${shown} UTC, before this version was made`,
      "Set the clock. Until then conversations are kept in the right order with wrong dates.",
    );
  const far = now > oldest + 20 * 365.25 * 86_400_000;
  return far ? warning("clock", `${shown} UTC, decades ahead`, "Set the clock.") : ok("clock", `${shown} UTC`);
}

export function checkFilesystem(layout: StickLayout, found: Result<Filesystem, FilesystemError>): Finding {
  if (!found.ok) return warning("file system", `${layout.root}: the kernel does not say what it lies on`);
  const { type, free, readOnly, noexec, showexec, maxFileSize, permissions } = found.value;
  const text = `${layout.root} on ${type}, ${bytesText(free)} free`;
  if (readOnly)
    return warning("file system", `${text}, read-only`, "Conversations are kept in memory only. Remove the write protection to keep them.");
  if (noexec)
    return warning(
      "file system",
      `${text}, mounted noexec`,
      "Libraries are unpacked elsewhere. If the program does not start, copy it to the host's disk.",
    );
  if (free < 50e6) return warning("file system", text, "Free some space: a conversation takes little, a model a lot.");
  const notes = [
    ...(showexec ? ['programs have to be named "noctem.exe"'] : []),
    ...(Number.isFinite(maxFileSize) ? [`no file over ${bytesText(maxFileSize)}`] : []),
    ...(permissions ? [] : ["anyone at this host can read its files while it is plugged in"]),
  ];
  return ok("file system", [text, ...notes].join(", "));
}

export function checkNamespaces(found: TrialFacts & { readonly switches: readonly string[] }): Finding {
  if (found.works) return ok("user namespaces", "available");
  if (found.path === null) return warning("user namespaces", 'not tried: "unshare" is not installed', "Install util-linux.");
  const why = found.switches.length > 0 ? found.switches.join(", ") : found.detail;
  const fix =
    found.switches.length > 0
      ? `As root: ${found.switches.map((name) => `sysctl ${name.replace(/=(.)$/u, (_, value: string) => `=${value === "0" ? (name.includes("max") ? "10000" : "1") : "0"}`)}`).join("; ")}.`
      : "This host does not allow them; the engine then runs without its sandbox.";
  return warning("user namespaces", `not available (${why})`, fix);
}

export function checkBubblewrap(found: TrialFacts): Finding {
  if (found.path === null) return warning("bubblewrap", "not installed: the engine runs without its sandbox", "apt install bubblewrap");
  const named = `${found.path}${found.version === null ? "" : ` ${found.version}`}`;
  return found.works
    ? ok("bubblewrap", named)
    : warning("bubblewrap", `${named} does not work here: ${found.detail}`, "See the line on user namespaces.");
}

export function checkGpu({ devices, packs }: GpuFacts, layout: StickLayout): readonly Finding[] {
  const bad = packs.flatMap(({ name, error }) => {
    if (error === null) return [];
    const text = error.kind === "other-version" ? `made for ${error.found}, this program needs ${error.wanted}` : error.detail;
    return [
      broken(`GPU pack ${name}`, text, ExitCode.ENGINE, {
        fix: `Delete ${join(layout.packs, name)} or put a sound copy there. Without it the processor is used.`,
      }),
    ];
  });
  const sound = packs.filter((pack) => pack.error === null).map((pack) => pack.name);
  if (devices.length === 0) return [...bad, ok("GPU", "none found; the processor is used")];
  const seen = devices.join(", ");
  if (sound.length > 0) return [...bad, ok("GPU", `${seen}, with ${sound.join(", ")}`)];
  return [
    ...bad,
    warning(
      "GPU",
      `${seen}, but no GPU pack; the processor is used`,
      `Put a pack into ${layout.packs}; "linux-x64-vulkan" works with most GPUs.`,
    ),
  ];
}

export function checkNative(error: NativeError | null): Finding {
  const name = "engine libraries";
  switch (error?.kind) {
    case undefined:
      return ok(name, "unpacked, loaded and removed");
    case "damaged":
      return broken(name, `the program file is damaged (${error.detail})`, ExitCode.ENGINE, { fix: "Copy the program anew." });
    case "noexec":
      return broken(name, `no folder here lets code run (${triedIn(error.tried)})`, ExitCode.ENGINE, {
        fix: "Mount one of these folders without noexec, or set XDG_RUNTIME_DIR to a folder of yours that allows it.",
      });
    case "no-room":
      return broken(name, `${bytesText(error.needed)} are needed to unpack them (${triedIn(error.tried)})`, ExitCode.NO_ROOM, {
        fix: "Free some space in one of these folders.",
      });
    case "unloadable":
      return broken(name, error.detail, ExitCode.ENGINE, { fix: "Install what is missing; most often: apt install libstdc++6 libgomp1." });
    case "no-place":
      return broken(name, `no folder could be written (${triedIn(error.tried)})`, ExitCode.NO_ROOM, {
        fix: "Set XDG_RUNTIME_DIR to a folder of yours.",
      });
  }
}

const triedIn = (tried: readonly { readonly root: string; readonly reason: string }[]): string =>
  tried.map(({ root, reason }) => `${root}: ${reason}`).join("; ");

/** `mode` is null where there is no heart yet. */
export function checkHeart(layout: StickLayout, found: Result<HeartMode | null, HeartError>): Finding {
  if (!found.ok) {
    const { text, code } = heartErrorText(found.error);
    return broken("heart", text.replace(/\.$/u, ""), code as ExitCode);
  }
  if (found.value === null) return ok("heart", `none yet; ${layout.heart} is made with the first message`);
  return found.value.kind === "stored" ? ok("heart", layout.heart) : warning("heart", found.value.warning ?? "in memory");
}

/** Days after which a backup is called old. */
const OLD_BACKUP = 30;

/** `newest` is null where there is none. */
export function checkBackups(layout: StickLayout, newest: number | null, now: number): Finding {
  if (newest === null) return ok("backups", `none yet in ${layout.backups}; "noctem heart backup" makes one`);
  const days = Math.max(0, Math.floor((now - newest) / 86_400_000));
  const text = `the newest in ${layout.backups} is ${days === 0 ? "of today" : days === 1 ? "a day old" : `${days} days old`}`;
  return days > OLD_BACKUP ? warning("backups", text, "noctem heart backup") : ok("backups", text);
}

export interface KeyFacts {
  readonly present: boolean;
  readonly heart: boolean;
  /** Permission bits of `keys/`, or null where the file system has none. */
  readonly mode: number | null;
}

export function checkKeys(layout: StickLayout, { present, heart, mode }: KeyFacts): Finding {
  if (!present) {
    return heart
      ? warning(
          "keys",
          `${layout.keys} is missing`,
          "Put back the folder keys/ that belongs to this heart; without it the heart is read-only.",
        )
      : ok("keys", "none yet; made with the heart");
  }
  if (mode !== null && (mode & 0o077) !== 0)
    return warning("keys", `other users of this host can read ${layout.keys}`, `chmod -R go-rwx ${layout.keys}`);
  return ok("keys", `${layout.keys}${mode === null ? "; this file system keeps no permissions" : ""}, not protected by a passphrase yet`);
}

export function checkModels(models: readonly ListedModel[]): readonly Finding[] {
  const bad = models
    .filter((model) => model.state === "broken")
    .map((model) =>
      broken(`model ${model.name}`, model.verdict, ExitCode.BAD_MODEL, {
        fix: `noctem models verify ${model.name}, or noctem models pull ${model.name}`,
      }),
    );
  const ready = models
    .filter((model) => model.state === "ready")
    .map((model) => ok(`model ${model.name}`, `${bytesText(model.size)}, ${model.verdict}`));
  if (ready.length + bad.length > 0) return [...ready, ...bad];
  return [
    broken("models", "none", ExitCode.NO_MODEL, {
      fix: '"noctem models list" shows which can be had, "noctem models pull NAME" fetches one.',
    }),
  ];
}
