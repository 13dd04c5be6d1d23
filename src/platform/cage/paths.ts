import { closeSync, constants, fstatSync, lstatSync, openSync, realpathSync } from "node:fs";

/** Absolute, and every part of it a name. */
export const isPlain = (path: string): boolean =>
  path.startsWith("/") &&
  !path.includes("\0") &&
  !path
    .slice(1)
    .split("/")
    .some((part) => part === "." || part === "..");

/** And no part of it a link, at this moment. Bytes where it is no text. */
export function isResolved(path: string | Uint8Array): boolean {
  try {
    const bytes = Buffer.from(path);
    return (
      isPlain(bytes.toString("latin1")) && realpathSync(bytes, { encoding: "buffer" }).equals(bytes) && !lstatSync(bytes).isSymbolicLink()
    );
  } catch {
    return false;
  }
}

/** open(2): a place in the tree, with no right to read it: folders on the way may be closed to whoever passes through. */
const O_PATH = 0o10000000;

/**
 * A folder as PATH:DEV:INO, compared after the mount by the helper. Name by name through no link: by the whole path it would be that of whatever a link led to, swapped in
 * between the look whether there is one and this. Null where the path leads through a link, or to no folder.
 */
export function identityOf(path: string): string | null {
  const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  let fd = openSync("/", flags);
  try {
    for (const name of path.split("/").filter((part) => part !== "")) {
      const next = openSync(`/proc/self/fd/${fd}/${name}`, flags);
      closeSync(fd);
      fd = next;
    }
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return `${path}:${dev}:${ino}`;
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}
