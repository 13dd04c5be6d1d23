/** Root owns the nodes of /dev, in its cages as well: there they stand on mounts that let nobody change what they are (native/helper/helper.c). */

/** Those that bubblewrap gives every cage. */
const NODES = ["null", "zero", "full", "random", "urandom", "tty"].map((name) => `/dev/${name}`);

/** `command` with that around it, where it is needed. `more`: other nodes of the plan. */
export const guardDevices = (helper: string, command: readonly string[], more: readonly string[] = []): readonly string[] =>
  process.geteuid?.() === 0 ? [helper, "devices", ...NODES, ...more, "--", ...command] : command;
