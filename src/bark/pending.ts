import type { PreparedCall } from "./call.ts";
import type { Result } from "../lib/result.ts";
import { diffOf, type DiffTexts } from "./workspace/diff.ts";
import type { Change } from "./workspace/types.ts";

/** What a program wrote and a person has to be asked about, with all its bytes, until somebody decides or it is too old. */
export interface Waiting {
  readonly id: string;
  readonly workspace: string;
  /** Milliseconds. */
  readonly at: number;
  readonly changes: readonly WaitingChange[];
}

export interface WaitingChange {
  /** Its `before` is what has to stand on the host when it is applied. */
  readonly change: Change;
  readonly rule: string;
  readonly reason: string;
}

/** The changes that wait, in a folder that no skill reaches. */
export interface PendingStore {
  /** Durable when it returns, bytes and all; the error is a sentence, and then nothing was kept. */
  keep(workspace: string, changes: readonly WaitingChange[]): Result<Waiting, string>;
  /** Newest first. */
  list(): readonly Waiting[];
  get(id: string): Waiting | null;
  /** False when there is none of that name. */
  discard(id: string): boolean;
}

/** Lines of a diff that a question shows whole; beyond it files are named with size and hash. */
const MOST_LINES = 250;
const MOST_WIDTH = 1500;
/** Files that are named one by one, and folders that are summed up. */
const MOST_NAMED = 100;
const MOST_FOLDERS = 60;

/**
 * Applying what waits, as a call like any other: judged, written down, asked about with its diff, done by the journal that `undo` reads. What it says comes from a program and counts as text
 * from outside.
 */
export function waitingCall({ id, changes }: Waiting, texts: DiffTexts): PreparedCall {
  const names = changes.map(({ change }) => change.path);
  const reasons = [...new Set(changes.map(({ reason }) => reason))];
  const label = { c: 1, k: ["files"], i: 0, p: [] } as const;
  return {
    tier: 3,
    operation: "write",
    changesState: true,
    object: {
      kind: "file",
      name: `${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""}`,
      label,
      reserved: false,
    },
    declassifiable: true,
    sink: null,
    arguments: [{ name: "id", role: "content", value: id, required: 0 }],
    ruled: { rule: "workspace.waiting", outcome: "ask", reason: `A program left it to you: ${reasons.slice(0, 5).join(" ")}` },
    effect: {
      kind: "changes",
      changes: changes.map(({ change }) => change),
      diff: waitingDiff(id, changes, texts).join("\n"),
      answer: `${names.length} file${names.length === 1 ? "" : "s"} written.`,
    },
    resultLabel: label,
  };
}

/** Whole where it can be read at one go; else what is protected by name, and the rest by folder: it was asked about for its size alone. */
function waitingDiff(id: string, changes: readonly WaitingChange[], texts: DiffTexts): readonly string[] {
  const whole: string[] = [];
  for (const { change } of changes) {
    whole.push(...diffOf(change, texts));
    if (whole.length > MOST_LINES) break;
  }
  if (whole.length <= MOST_LINES && whole.every((line) => line.length <= MOST_WIDTH)) return whole;
  const named = changes.filter(({ rule }) => rule !== "bounds");
  const single = named.slice(0, MOST_NAMED).map(({ change }) => briefly(change));
  const summed = summary([...changes.filter(({ rule }) => rule === "bounds"), ...named.slice(MOST_NAMED)].map(({ change }) => change));
  return [`Too much to be shown here: "noctem bark pending show ${id}" prints it whole.`, ...single, ...summed];
}

const briefly = (change: Change): string =>
  diffOf(change, { before: () => null, after: () => null })
    .join(", ")
    .replace(/\n/gu, " ");

function summary(changes: readonly Change[]): readonly string[] {
  const folders = new Map<string, { written: number; bytes: number; deleted: number }>();
  for (const change of changes) {
    const [first = "", ...rest] = change.path.split("/");
    const known = rest.length === 0 ? "./" : `${first}/`;
    const key = folders.has(known) || folders.size < MOST_FOLDERS ? known : "elsewhere";
    const sum = folders.get(key) ?? { written: 0, bytes: 0, deleted: 0 };
    if (change.kind === "delete") sum.deleted++;
    else sum.written++;
    if (change.kind === "write") sum.bytes += change.content.bytes;
    folders.set(key, sum);
  }
  return [...folders].map(([name, { written, bytes, deleted }]) => `${name}: ${written} written, ${bytes} bytes; ${deleted} deleted`);
}
