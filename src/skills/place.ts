import { err, ok, type Result } from "../lib/result.ts";
import type { SkillRefusal } from "../bark/call.ts";

/** Characters of a path. */
const LONGEST = 4000;

/**
 * A path as the model wrote it, as one beneath the workspace: relative, without "." and "..", "" for the workspace itself. By its words alone; links
 * are met, and refused, where it is opened.
 */
export function placeIn(workspace: string, path: string): Result<string, SkillRefusal> {
  const outside = (): Result<string, SkillRefusal> =>
    err({ kind: "outside", detail: `${short(path)} is outside of the workspace ${workspace}; only what lies in it can be reached.` });
  if (path === "" || path.includes("\0") || path.length > LONGEST || !path.isWellFormed())
    return err({
      kind: "bad-arguments",
      detail: path === "" ? "The path is empty." : "The path is no path: it is too long, or has a NUL in it.",
    });
  if (path.startsWith("~"))
    return err({ kind: "outside", detail: `${short(path)} names a home folder, and only the workspace can be reached.` });
  const absolute = path.startsWith("/");
  const root = workspace.endsWith("/") ? workspace : `${workspace}/`;
  if (absolute && path !== workspace && !path.startsWith(root)) return outside();
  const parts: string[] = [];
  for (const part of (absolute ? path.slice(root.length) : path).split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      // "a/../b" may lead elsewhere than "b" where a is a link.
      return err({ kind: "outside", detail: `${short(path)} has ".." in it; name the file itself.` });
    }
    parts.push(part);
  }
  return ok(parts.join("/"));
}

/** For a sentence. */
export const short = (text: string): string => {
  const plain = text.toWellFormed().replaceAll(/\p{C}/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
  return plain.length <= 200 ? plain : `${plain.slice(0, 199).toWellFormed()}…`;
};
