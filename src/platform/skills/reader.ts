/** Reading in a workspace for skills: beneath it, through no link, within bounds. */
import { accessSync, constants, lstatSync, readdirSync, type Stats, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SkillRefusal } from "../../bark/call.ts";
import { SEARCH_PATH } from "../../bark/cage/plan.ts";
import type { Before } from "../../bark/workspace/types.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { short } from "../../skills/place.ts";
import type { Looked, Programs, SearchHit, Secret, WorkspaceReader } from "../../skills/ports.ts";
import { beneath, type Entry, Folder, type Name, whereThereIs } from "../workspace/beneath.ts";
import { filtersOf, joinedGit } from "../workspace/git.ts";
import { beforeOf } from "../workspace/view.ts";

/** Of a search: files that are opened, bytes of one, characters of a line that is shown. */
const MOST_FILES = 20_000;
const MOST_FILE = 2 << 20;
const MOST_LINE = 300;
/** Names that are looked at for secrets, and levels. */
const MOST_NAMES = 100_000;
const DEEPEST = 40;

const refuse = (kind: SkillRefusal["kind"], detail: string): Result<never, SkillRefusal> => err({ kind, detail });

/**
 * `staging`: a private folder for new bytes that wait to be applied. `isOwn`: Noctem's own files, in no repository of anybody. `own`: those of them whose hard
 * links are not read either, by paths.
 */
export function workspaceReader(
  workspace: string,
  staging: () => string,
  isOwn: (path: string) => boolean = () => false,
  own: readonly string[] = [],
): WorkspaceReader {
  let staged = 0;
  const look = (path: string): Looked => {
    if (path === "") return { kind: "folder", bytes: 0 };
    const stat = beneath(workspace, path, (folder, name) => folder.stat(name));
    if (stat === null) return { kind: "nothing", bytes: 0 };
    const kind = stat.isSymbolicLink() ? "link" : stat.isDirectory() ? "folder" : stat.isFile() ? "file" : "other";
    return { kind, bytes: stat.size };
  };
  const inFolder = <T>(path: string, work: (folder: Folder) => T): T | null => {
    if (path === "") {
      using folder = whereThereIs(() => Folder.open(workspace));
      return folder === null ? null : work(folder);
    }
    return beneath(workspace, path, (parent, name) => {
      using folder = whereThereIs(() => parent.folder(name));
      return folder === null ? null : work(folder);
    });
  };
  return {
    look,
    readText(path, limit) {
      const { kind, bytes } = look(path);
      if (kind !== "file") return refuse(kind === "nothing" ? "not-found" : "unsuitable", notFile(path, kind));
      if (bytes > limit) return refuse("too-large", `${short(path)} has ${bytes} bytes, more than the ${limit} that are read.`);
      const read = beneath(workspace, path, (folder, name) => readFile(folder, name, limit));
      return read === null ? refuse("not-found", `${short(path)} cannot be read.`) : textOf(path, read);
    },
    before: (path): Before => beneath(workspace, path, (folder, name) => beforeOf(folder, name)) ?? { kind: "nothing" },
    list(path, limit) {
      const { kind } = look(path);
      if (kind !== "folder")
        return refuse(
          kind === "nothing" ? "not-found" : "unsuitable",
          kind === "nothing" ? `There is no ${short(path)}.` : `${short(path)} is no folder.`,
        );
      const names = inFolder(path, (folder) =>
        folder.names().map((name) => `${printable(name)}${folder.stat(name)?.isDirectory() === true ? "/" : ""}`),
      );
      const sorted = (names ?? []).sort((a, b) => (a < b ? -1 : 1));
      return ok({ names: sorted.slice(0, limit), more: sorted.length > limit });
    },
    search(path, text, limit) {
      if (look(path).kind !== "folder") return refuse("not-found", `There is no folder ${short(path)}.`);
      const hits: SearchHit[] = [];
      let files = 0;
      let more = false;
      const walk = (folder: Folder, at: string, depth: number): void => {
        for (const bytes of folder.names()) {
          if (hits.length > limit || files > MOST_FILES) {
            more = true;
            return;
          }
          const name = bytes.toString("utf8");
          const stat = folder.stat(bytes);
          const here = at === "" ? name : `${at}/${name}`;
          // Whether it is another name of a secret is looked up by text.
          if (name.includes("\ufffd") && stat?.isFile() === true && stat.nlink > 1) continue;
          if (stat?.isDirectory() === true && depth < DEEPEST && name !== ".git" && name !== "node_modules") {
            using inner = enter(folder, bytes);
            if (inner !== null) walk(inner, here, depth + 1);
          } else if (stat?.isFile() === true && stat.size <= MOST_FILE) {
            files++;
            const read = readFile(folder, bytes, MOST_FILE);
            if (read === null || read.includes(0)) continue;
            for (const [index, line] of read.toString("utf8").split("\n").entries()) {
              if (line.includes(text) && hits.length <= limit)
                hits.push({ path: here, line: index + 1, text: line.trim().slice(0, MOST_LINE).toWellFormed() });
            }
          }
        }
      };
      inFolder(path, (folder) => walk(folder, path, 0));
      return ok({ hits: hits.slice(0, limit), more: more || hits.length > limit });
    },
    stage(bytes) {
      const file = join(staging(), `new-${++staged}`);
      writeFileSync(file, bytes, { mode: 0o600 });
      return { file, bytes: bytes.length, sha256: new Bun.CryptoHasher("sha256").update(bytes).digest("hex") };
    },
    secrets(isSecret) {
      const found: Secret[] = [];
      const hide = (here: string, raw: Buffer | null, folder: boolean): void =>
        void found.push({
          path: join(workspace, here),
          folder,
          ...(raw !== null && { raw: Buffer.concat([Buffer.from(`${workspace}/`), raw]).toString("hex") }),
        });
      // By name, and by every other name that the same file has: a hard link is no copy.
      const never = identitiesOf(own);
      const secrets = new Set<string>();
      let within: string | null = null;
      const add = (stat: Stats | null): void => {
        if (stat !== null && stat.nlink > 1) never.add(identityOf(stat));
      };
      const whole = walkAll(workspace, (here, kind, stat, raw) => {
        if (kind === "link") return true;
        const inSecret = within !== null && here.startsWith(within);
        if (!inSecret && !isSecret(here)) return true;
        if (kind === "file") add(stat());
        secrets.add(here);
        if (inSecret) return true;
        hide(here, raw(), kind === "folder");
        within = `${here}/`;
        return true;
      });
      // To ask each file how many names it has takes longer than all the rest: only where one that counts has several.
      const again =
        never.size === 0 ||
        walkAll(workspace, (here, kind, stat, raw) => {
          if (kind !== "file" || secrets.has(here)) return true;
          const is = stat();
          if (is !== null && is.nlink > 1 && never.has(identityOf(is))) hide(here, raw(), false);
          return true;
        });
      return whole && again ? found : null;
    },
    git() {
      const found = joinedGit(workspace, isOwn);
      const joined = found.ok ? found.value : null;
      return { joined, refused: found.ok ? null : found.error, filters: filtersOf(workspace, joined) };
    },
    named(name) {
      const found: string[] = [];
      const whole = walkAll(workspace, (here) => {
        if (here !== name && !here.endsWith(`/${name}`)) return true;
        found.push(here);
        return false;
      });
      return whole ? found : null;
    },
    isAlias(path, isSecret) {
      if (path === "") return false;
      const stat = beneath(workspace, path, (folder, name) => folder.stat(name));
      if (stat === null || !stat.isFile() || stat.nlink < 2) return false;
      const secrets = this.secrets(isSecret);
      return secrets === null || secrets.some((secret) => secret.path === join(workspace, path));
    },
  };
}

/**
 * Every name, links too, without following any. `visit` says whether to go into a folder. Names that are no text are judged as they are shown, with a sign for what is
 * none: rules mean their other parts. `raw`: their bytes, below the workspace; null where all is text. False where there is too much to look at.
 */
function walkAll(
  workspace: string,
  visit: (path: string, kind: Entry["kind"], stat: () => Stats | null, raw: () => Buffer | null) => boolean,
): boolean {
  let looked = 0;
  const walk = (folder: Folder, at: string, above: Buffer | null, depth: number): boolean => {
    for (const { name, text, kind } of folder.entries()) {
      if (++looked > MOST_NAMES || depth > DEEPEST) return false;
      const shown = text ?? name.toString("utf8");
      const here = at === "" ? shown : `${at}/${shown}`;
      const bytes = (): Buffer => (at === "" ? name : Buffer.concat([above ?? Buffer.from(at), SLASH, name]));
      const raw = (): Buffer | null => (text === null || above !== null ? bytes() : null);
      if (!visit(here, kind, () => folder.stat(name), raw)) continue;
      if (kind === "folder") {
        using inner = enter(folder, name);
        if (inner !== null && !walk(inner, here, raw(), depth + 1)) return false;
      }
    }
    return true;
  };
  using root = whereThereIs(() => Folder.open(workspace));
  return root !== null && walk(root, "", null, 0);
}

const SLASH = Buffer.from("/");

const identityOf = ({ dev, ino }: Stats): string => `${dev}:${ino}`;

/** Of files that are Noctem's own, and of those in its folders, where they have another name somewhere. */
function identitiesOf(own: readonly string[]): Set<string> {
  const identities = new Set<string>();
  const add = (path: string, deeper: boolean): void => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isFile() === true && stat.nlink > 1) identities.add(identityOf(stat));
    else if (stat?.isDirectory() === true && deeper) for (const name of readdirSync(path)) add(join(path, name), false);
  };
  for (const path of own) add(path, true);
  return identities;
}

function enter(folder: Folder, name: Name): Folder | null {
  try {
    return folder.folder(name);
  } catch {
    return null;
  }
}

/** Null when it is no plain file any more, or grew beyond the limit. */
function readFile(folder: Folder, name: Name | string, limit: number): Buffer | null {
  try {
    using file = folder.read(name);
    if (file === null) return null;
    const blocks: Buffer[] = [];
    let bytes = 0;
    for (const block of file.blocks()) {
      bytes += block.length;
      if (bytes > limit) return null;
      blocks.push(Buffer.from(block));
    }
    return Buffer.concat(blocks);
  } catch {
    return null;
  }
}

function textOf(path: string, bytes: Buffer): Result<string, SkillRefusal> {
  const nul = bytes.indexOf(0);
  if (nul >= 0) return refuse("unsuitable", `${short(path)} is no text: there is a NUL byte at offset ${nul}.`);
  try {
    return ok(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return refuse("unsuitable", `${short(path)} is no text in UTF-8.`);
  }
}

function notFile(path: string, kind: Looked["kind"]): string {
  switch (kind) {
    case "nothing":
      return `There is no ${short(path)}.`;
    case "folder":
      return `${short(path === "" ? "The workspace" : path)} is a folder; list it instead.`;
    case "link":
      return `${short(path)} is a link; name the file that it leads to.`;
    default:
      return `${short(path)} is no plain file.`;
  }
}

const printable = (name: Name): string => name.toString("utf8").replaceAll(/[\p{C}\ufffd]/gu, "?");

/** In the host's own folders, never in a workspace or by the person's PATH. */
export const hostPrograms: Programs = {
  find(name) {
    if (!/^[A-Za-z0-9._+-]+$/.test(name)) return null;
    for (const folder of SEARCH_PATH.split(":")) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        if (statSync(path).isFile()) return path;
      } catch {
        // Not there.
      }
    }
    return null;
  },
};
