/**
 * What git's reading commands would run because a repository says so. Settings come with whatever was unpacked into a workspace, and `git diff` alone
 * runs five kinds of program that they may name; a listed command runs nothing that is not listed.
 */

/** Of the workspace, by relative paths. */
export interface RepositoryFiles {
  look(path: string): { readonly kind: "file" | "folder" | "link" | "nothing" | "other" };
  /** Null where it is no text, or too long. */
  text(path: string): string | null;
  /** Every `.git` in the workspace; null when there is too much to look at. */
  repositories(): readonly string[] | null;
}

/** A sentence when git would perhaps run something or look elsewhere; null when it only reads. */
export function gitWouldRun(files: RepositoryFiles): string | null {
  // Git takes the current folder itself for a repository when it looks like one.
  if (files.look("HEAD").kind !== "nothing" && files.look("objects").kind !== "nothing")
    return "The workspace itself looks like a git repository, with settings that anybody may have written.";
  const all = files.repositories();
  if (all === null) return "There is too much in the workspace to look for settings of git.";
  for (const at of all) {
    // A file leads to a repository elsewhere; so does this one file in a folder.
    if (files.look(at).kind !== "folder" || files.look(`${at}/commondir`).kind !== "nothing")
      return `${at} leads to settings of git that lie elsewhere.`;
    for (const name of ["config", "config.worktree"]) {
      const path = `${at}/${name}`;
      if (files.look(path).kind === "nothing") continue;
      const text = files.text(path);
      const found = text === null ? "what cannot be read" : programIn(text);
      if (found !== null) return `${path} has ${found}, by which git may run a program.`;
    }
  }
  return null;
}

/** Sections of which every key may name a program or another file of settings; of the last two, those of a driver. */
const SECTIONS = /^(?:filter|include|includeif|gpg|trailer)(?:\.|$)|^(?:diff|merge)\./;
const KEYS = /^(?:diff\.external|core\.alternaterefscommand|remote\..*\.(?:promisor|partialclonefilter)|extensions\.partialclone)$/;
/** Harmless when they say nothing but this. */
const SWITCHES: Readonly<Record<string, RegExp>> = { "core.fsmonitor": /^(?:true|false)$/i, "log.showsignature": /^false$/i };
/** The first setting by which a reading command may run something. What is not plainly readable counts. */
export function programIn(config: string): string | null {
  let section = "";
  for (const raw of config.split("\n")) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    // It goes on in the next line.
    if (line.endsWith("\\")) return "a line that goes on";
    const header = /^\[([a-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\]$/i.exec(line);
    if (header !== null) {
      section = (header[2] === undefined ? (header[1] ?? "") : `${header[1] ?? ""}.${header[2]}`).toLowerCase();
      continue;
    }
    const entry = /^([a-z][a-z0-9-]*)(?:\s*=\s*(.*))?$/i.exec(line);
    if (entry === null || section === "") return "a line that cannot be read";
    const key = `${section}.${(entry[1] ?? "").toLowerCase()}`;
    const only = SWITCHES[key];
    if (only !== undefined ? !only.test((entry[2] ?? "true").trim()) : SECTIONS.test(section) || KEYS.test(key)) return key;
  }
  return null;
}
