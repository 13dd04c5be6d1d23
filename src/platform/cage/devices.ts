/** Root owns the nodes of /dev, in its cages as well: there they stand on mounts that let nobody change what they are (native/helper/outside.c). */

/** Those that bubblewrap gives every cage. */
const NODES = ["null", "zero", "full", "random", "urandom", "tty"].map((name) => `/dev/${name}`);

/** `command` with that around it, where it is needed. `more`: other nodes of the plan. `groups`: control groups that it enters before it is anything else. */
export const guardDevices = (
  helper: string,
  command: readonly string[],
  more: readonly string[] = [],
  groups: readonly string[] = [],
): readonly string[] =>
  process.geteuid?.() === 0
    ? [helper, "devices", ...groups.flatMap((folder) => ["--group", folder]), ...NODES, ...more, "--", ...command]
    : command;
