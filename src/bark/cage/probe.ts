import { HELPER } from "./argv.ts";

/**
 * A cage, looked at from the inside: one small script that runs in the very profile it speaks of, and what its words mean. `bark doctor` shows it, tests hold it.
 */
export interface CageFacts {
  /** Of user, pid, net, mnt, ipc, uts: those that are not the host's. */
  readonly namespaces: readonly string[];
  readonly interfaces: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly filtered: boolean;
  /** No capability is in force, or could be had. */
  readonly powerless: boolean;
  readonly rootReadOnly: boolean;
  readonly kernelReadOnly: boolean;
  /** A file of this user's that lies outside of what the profile shows. */
  readonly secretHidden: boolean;
  readonly namespacesRefused: boolean;
  /** No bus of the person's session or of the system. */
  readonly busAbsent: boolean;
  /** As the kernel names and counts them. */
  readonly limits: Readonly<Record<string, string>>;
}

export const NAMESPACES = ["user", "pid", "net", "mnt", "ipc", "uts"] as const;

const SCRIPT = `exec 2>/dev/null
grep -E '^(NoNewPrivs|Seccomp|CapPrm|CapEff|CapBnd|CapAmb):' /proc/self/status
for name in ${NAMESPACES.join(" ")}; do echo "ns $name $(readlink /proc/self/ns/$name)"; done
sed -n 's/^ *\\([^:]*\\):.*/interface \\1/p' /proc/net/dev
grep -E '^Max (cpu time|processes|open files|file size|core file size|address space)' /proc/self/limits
for place in / /usr/ /etc/; do (: > "\${place}noctem-probe") && echo written; done
(exec 3<>/proc/sys/kernel/core_pattern) && echo kernel
(exec 3<"$1") && echo secret
echo "userns $("$2" user-namespace)"
[ -n "$DBUS_SESSION_BUS_ADDRESS$DBUS_SYSTEM_BUS_ADDRESS" ] && echo bus
for bus in /run/dbus/system_bus_socket /var/run/dbus/system_bus_socket /run/user/*/bus; do [ -e "$bus" ] && echo bus; done
echo complete`;

/** A command that prints what `readProbe` reads; `secret`: a file of the host's that this user can read. */
export const probeCommand = (secret: string): readonly string[] => ["/bin/sh", "-c", SCRIPT, "sh", secret, HELPER];

/** `host`: identities of the host's own namespaces by name. Null when the script did not get to its end: then nothing it says is worth anything. */
export function readProbe(text: string, host: Readonly<Record<string, string>>): CageFacts | null {
  const lines = text.split("\n");
  if (!lines.includes("complete")) return null;
  const status = (name: string): string =>
    lines
      .find((line) => line.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim() ?? "";
  const namespaces = NAMESPACES.filter((name) => {
    const found = lines.find((line) => line.startsWith(`ns ${name} `))?.split(" ")[2] ?? "";
    return found !== "" && host[name] !== undefined && found !== host[name];
  });
  return {
    namespaces,
    interfaces: lines.flatMap((line) => (line.startsWith("interface ") ? [line.slice(10)] : [])),
    noNewPrivileges: status("NoNewPrivs") === "1",
    filtered: status("Seccomp") === "2",
    powerless: ["CapPrm", "CapEff", "CapBnd", "CapAmb"].every((name) => /^0+$/u.test(status(name))),
    rootReadOnly: !lines.includes("written"),
    kernelReadOnly: !lines.includes("kernel"),
    secretHidden: !lines.includes("secret"),
    namespacesRefused: lines.includes("userns refused"),
    busAbsent: !lines.includes("bus"),
    limits: Object.fromEntries(
      lines.flatMap((line) => {
        const [, name, value] = /^Max (.+?)\s{2,}(\S+)/u.exec(line) ?? [];
        return name === undefined || value === undefined ? [] : [[name, value]];
      }),
    ),
  };
}

/** What a cage lacks of what every cage has, in words; none of them is ever acceptable. `processes`: the limit of the profile. */
export function missingWalls(facts: CageFacts, processes: number): readonly string[] {
  const shared = NAMESPACES.filter((name) => !facts.namespaces.includes(name));
  const walls: readonly (readonly [boolean, string])[] = [
    [shared.length === 0, `it shares namespaces with the host: ${shared.join(", ")}`],
    [facts.interfaces.every((name) => name === "lo"), `it has a network: ${facts.interfaces.join(", ")}`],
    [facts.noNewPrivileges, "set-uid programs could give it privileges"],
    [facts.filtered, "no system call filter is on it"],
    [facts.powerless, "it has capabilities"],
    [facts.rootReadOnly, "it can write to the root of its view"],
    [facts.kernelReadOnly, "it can write settings of the kernel"],
    [facts.secretHidden, "it reads files outside of its view"],
    [facts.namespacesRefused, "it can make namespaces of its own"],
    [facts.busAbsent, "it finds a D-Bus"],
    [facts.limits["processes"] === String(processes), `its number of processes is not limited to ${processes}`],
    [facts.limits["core file size"] === "0", "its memory could be dumped to a file"],
  ];
  return walls.flatMap(([stands, words]) => (stands ? [] : [words]));
}
