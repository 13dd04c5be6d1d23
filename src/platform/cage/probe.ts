/** Looks at a cage from the inside: one small script that runs in the very profile it speaks of, and what it found. `bark doctor` shows it, tests hold it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HELPER } from "../../bark/cage/argv.ts";
import type { ChildPlan } from "../../bark/cage/types.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { cagedCommand, type NoCage } from "./own.ts";
import { namespaceOf } from "./own-facts.ts";

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
  readonly limits: Readonly<Record<string, string>>;
}

const NAMESPACES = ["user", "pid", "net", "mnt", "ipc", "uts"] as const;

const SCRIPT = `exec 2>/dev/null
grep -E '^(NoNewPrivs|Seccomp|CapPrm|CapEff|CapBnd|CapAmb):' /proc/self/status
for name in ${NAMESPACES.join(" ")}; do echo "ns $name $(readlink /proc/self/ns/$name)"; done
sed -n 's/^ *\\([^:]*\\):.*/interface \\1/p' /proc/net/dev
grep -E '^Max (cpu time|processes|open files|file size|core file size|address space)' /proc/self/limits
for place in / /usr/ /etc/; do (: > "\${place}noctem-probe") && echo written; done
(exec 3<>/proc/sys/kernel/core_pattern) && echo kernel
(exec 3<"$1") && echo secret
echo "userns $("$2" overlay --lower / --same /:0:0 --bytes 4096 --scratch /tmp --at /tmp --control 1 -- /bin/true)"
echo complete`;

/** A command that prints what `readProbe` reads; `secret`: a file of the host's. */
export const probeCommand = (secret: string): readonly string[] => ["/bin/sh", "-c", SCRIPT, "sh", secret, HELPER];

/** Null when the script did not get to its end: then nothing it says is worth anything. */
export function readProbe(text: string): CageFacts | null {
  const lines = text.split("\n");
  if (!lines.includes("complete")) return null;
  const status = (name: string): string =>
    lines
      .find((line) => line.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim() ?? "";
  const namespaces = NAMESPACES.filter((name) => {
    const found = lines.find((line) => line.startsWith(`ns ${name} `))?.split(" ")[2] ?? "";
    return found !== "" && found !== namespaceOf("self", name);
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
    namespacesRefused: lines.some((line) => /^userns no-overlay (Operation not permitted|No space left on device)/u.test(line)),
    limits: Object.fromEntries(
      lines.flatMap((line) => {
        const [, name, value] = /^Max (.+?)\s{2,}(\S+)/u.exec(line) ?? [];
        return name === undefined || value === undefined ? [] : [[name, value]];
      }),
    ),
  };
}

/** Milliseconds: the script takes twenty. */
const PATIENCE = 10_000;

/** The probe in the cage of one of our own children. The error is what is missing, or that the cage broke. */
export async function probeChild(
  plan: (command: readonly string[]) => ChildPlan,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Result<CageFacts, NoCage>> {
  using secret = secretFile();
  const caged = cagedCommand(plan(probeCommand(secret.path)), env);
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
  const facts = readProbe(out);
  return facts === null
    ? err({ level: "none", detail: said.split("\n", 1)[0] || "The probe did not come to its end.", fix: "" })
    : ok(facts);
}

/** Something that is there to be found, by whoever sees more of the host than it should. */
export function secretFile(): Disposable & { readonly path: string } {
  // Not in /tmp, which is an empty folder in every cage and proves nothing.
  const folder = mkdtempSync(join("/var/tmp", "noctem-probe-"));
  const path = join(folder, "secret");
  writeFileSync(path, "secret\n", { mode: 0o600 });
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
