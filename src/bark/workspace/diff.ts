import { createTwoFilesPatch } from "diff";
import { type Change, type JudgedChange, shownPath } from "./types.ts";

/** Texts on both sides of a change; null where there is no text, or one too long to be read by anybody. */
export interface DiffTexts {
  before(change: Change): string | null;
  after(change: Extract<Change, { kind: "write" }>): string | null;
}

/** Lines that differ, of one file: comparing texts that have nothing in common takes time that grows with their product. */
const MOST_EDITS = 4000;

/** A change as lines of a unified diff. What is no text is named with its size and hash: nothing is left out unsaid. */
export function diffOf(change: Change, texts: DiffTexts): readonly string[] {
  const { before } = change;
  const path = shownPath(change);
  switch (change.kind) {
    case "folder":
      return [`new folder ${path}`];
    case "link":
      return [`${before.kind === "nothing" ? "new link" : "link in its place"} ${path} -> ${change.target}`];
    case "foreign":
      return [`${path}: ${change.what}`];
    case "delete":
      return before.kind === "file" ? patch(path, texts.before(change), "", "/dev/null", `deleted ${path}`) : [`deleted ${path}`];
    case "write": {
      const { bytes, sha256 } = change.content;
      const name = before.kind === "nothing" ? "/dev/null" : path;
      const old = before.kind === "file" ? texts.before(change) : "";
      const mode = change.executable && !(before.kind === "file" && before.executable) ? [`${path} becomes a program`] : [];
      const unread = `${before.kind === "nothing" ? "new" : "changed"} ${path}: ${bytes} bytes, SHA-256 ${sha256}`;
      const fresh = texts.after(change);
      return [...mode, ...(fresh === null ? [unread] : patch(name, old, fresh, path, unread))];
    }
  }
}

function patch(from: string, old: string | null, fresh: string, to: string, otherwise: string): readonly string[] {
  if (old === null) return [otherwise];
  const made = createTwoFilesPatch(from, to, old, fresh, "", "", { context: 3, maxEditLength: MOST_EDITS });
  return made === undefined ? [otherwise] : made.replace(/^=+\n/u, "").replace(/\n$/u, "").split("\n");
}

/** The lines of many changes, at most `limit` of them, with a last one that counts the rest. What is refused or asked about says so. */
export function diffOfAll(judged: readonly JudgedChange[], texts: DiffTexts, limit: number): readonly string[] {
  const lines: string[] = [];
  for (const [index, { change, outcome, reason }] of judged.entries()) {
    if (lines.length > limit) return [...lines.slice(0, limit), `(and ${judged.length - index} more changes, which are not shown)`];
    const said = { allow: null, ask: "asked about", deny: "refused", "leave-out": "left out" }[outcome];
    if (said !== null) lines.push(`${said}: ${shownPath(change)}: ${reason}`);
    if (outcome === "allow" || outcome === "ask") lines.push(...diffOf(change, texts));
  }
  return lines.length <= limit ? lines : [...lines.slice(0, limit), `(and ${lines.length - limit} more lines, which are not shown)`];
}
