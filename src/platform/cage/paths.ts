import { lstatSync, realpathSync } from "node:fs";

/** Absolute, and every part of it a name. */
export const isPlain = (path: string): boolean =>
  path.startsWith("/") &&
  !path.includes("\0") &&
  !path
    .slice(1)
    .split("/")
    .some((part) => part === "." || part === "..");

/** And no part of it a link, at this moment. */
export function isResolved(path: string): boolean {
  try {
    return isPlain(path) && realpathSync(path) === path && !lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}
