import { DBUS } from "./attacks/dbus.ts";
import { FILES } from "./attacks/files.ts";
import { ENVIRONMENT, NAMESPACES, RESOURCES } from "./attacks/limits.ts";
import { LINES } from "./attacks/lines.ts";
import { NAMES } from "./attacks/names.ts";
import { OWN } from "./attacks/own.ts";
import { NETWORK } from "./attacks/network.ts";
import { DESCRIPTORS, PROCESSES, TERMINAL } from "./attacks/processes.ts";
import { SCENES, WORDS } from "./attacks/scenes.ts";
import { SOCKETS } from "./attacks/sockets.ts";
import { SYSCALLS } from "./attacks/syscalls.ts";
import type { Attack } from "./types.ts";

/** All of them. What counts once stands in `familyOf`. */
export const ATTACKS: readonly Attack[] = [
  ...FILES,
  ...NAMES,
  ...PROCESSES,
  ...DESCRIPTORS,
  ...TERMINAL,
  ...SOCKETS,
  ...DBUS,
  ...SYSCALLS,
  ...NAMESPACES,
  ...RESOURCES,
  ...ENVIRONMENT,
  ...NETWORK,
  ...LINES,
  ...OWN,
  ...WORDS,
  ...SCENES,
];

/** Attacks of the older lists that are one idea in several spellings: the family, then who belongs to it. Newer ones name theirs themselves. */
const FAMILIES: Readonly<Record<string, string>> = {
  "read-secret-by-path": "read-ssh-key read-by-proc-root read-by-proc-cwd read-oldroot find-secrets",
  "read-secret-by-link": "read-by-own-link read-by-planted-link read-by-relative-link",
  "hard-link": "hard-link-out hard-link-in",
  "read-host-users": "read-shadow read-host-users",
  "read-host-folders": "read-homes read-var read-boot-and-sys",
  "read-masked": "read-masked-env read-masked-deep",
  "write-by-link": "write-by-planted-link write-by-swapped-folder",
  "write-root": "write-usr write-etc write-root",
  devices: "device-node raw-disk memory-device",
  "git-hook": "git-hook git-hook-deep git-hook-changed",
  "git-hook-moved": "git-hook-by-rename git-hook-by-ancestor",
  "git-hook-link": "git-hook-by-link git-link",
  "git-spelled": "git-case git-short-name git-trailing git-invisible",
  "git-config": "git-config-fsmonitor git-config-continued git-config-include",
  "git-config-replaced": "git-config-changed git-config-deleted",
  "editor-settings": "vscode vscode-by-rename idea",
  "shell-start": "shell-start shell-start-changed",
  kill: "kill-host kill-parent",
  outlive: "outlive outlive-double-fork",
  "kernel-settings": "core-pattern sysrq max-user-namespaces hostname",
  "inherited-descriptors": "inherited inherited-sockets folder-descriptors",
  tiocsti: "tiocsti tiocsti-high-bits",
  "host-terminals": "controlling-terminal host-terminals",
  "host-loopback": "host-loopback host-loopback-6",
  "outside-network": "outside udp-outside",
  "socket-family":
    "family-netlink family-packet family-vsock family-alg family-bluetooth family-kcm family-xdp family-rds family-can family-tipc family-x25 family-key",
  "user-namespace": "unshare-user unshare-user-root",
  "other-namespaces": "unshare-mount unshare-net unshare-pid",
  mount: "mount-tmpfs bind-home",
  "enter-namespaces": "nsenter setns-own-files",
  memory: "memory memory-shared",
  disk: "disk disk-tmp",
  output: "output output-errors",
  time: "endless sleeper",
};
const FAMILY_OF: ReadonlyMap<string, string> = new Map(
  Object.entries(FAMILIES).flatMap(([family, ids]) => ids.split(" ").map((id): [string, string] => [id, family])),
);

export const familyOf = ({ id, family }: Pick<Attack, "id" | "family">): string => family ?? FAMILY_OF.get(id) ?? id;
/** For a test: who is named in the table. */
export const namedInFamilies = (): readonly string[] => [...FAMILY_OF.keys()];
