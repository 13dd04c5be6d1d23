import type { ShownApproval } from "../../src/session/approvals.ts";
import { oddIn } from "../../src/lib/exact.ts";
import { exactRows, exactText } from "../text/exact.ts";
import { cells, fit, justify } from "../text/rows.ts";
import type { Theme } from "../theme.ts";

/** The pane as far as it is the person's: which question, what of it they have had on the screen, and what they have typed. */
export interface ApprovalUi {
  /** Null when its question went away while it was open. */
  readonly id: string | null;
  /** Of the whole text: another one has not been read. */
  readonly shown: string;
  /** Milliseconds; when it was opened, or became another text. */
  readonly openedAt: number;
  /** First row that is visible: an offset into the text, so that a new width keeps the place. */
  readonly top: number;
  /** Everything up to here has been on the screen, without a hole. An offset into the text. */
  readonly readTo: number;
  readonly typed: string;
  readonly lastKey: number;
  /** Asked for the parent's PIN or passphrase: how much of it is typed. */
  readonly secret: string | null;
  /** Saying why not: what the model will be told. */
  readonly reason: string | null;
}

export const openApproval = (approval: ShownApproval, now: number): ApprovalUi => ({
  id: approval.id,
  shown: textOf(approval),
  openedAt: now,
  top: 0,
  readTo: 0,
  typed: "",
  lastKey: now,
  secret: null,
  reason: null,
});

/** The whole text of a question, one line for each of its own. What a rehearsal showed comes last. */
export function textOf({ lines, rehearsal }: ShownApproval): string {
  const known = texts.get(lines);
  if (known !== undefined && known.rehearsal === rehearsal) return known.text;
  const text = [...lines, ...(rehearsal ?? [])].map((line) => exactText(line, { spelled: true }).text.replaceAll("\n", "\\n")).join("\n");
  texts.set(lines, { rehearsal, text });
  return text;
}
/** A long question is looked at with every frame. */
const texts = new WeakMap<readonly string[], { readonly rehearsal: ShownApproval["rehearsal"]; readonly text: string }>();

/** What has to be typed, and Enter: a whole word from tier 3 on. */
export const wordFor = ({ tier }: Pick<ShownApproval, "tier">): string => (tier >= 3 ? "allow" : "a");

interface SourceRow {
  readonly text: string;
  /** Offsets into the text; `to` is that of the next row. */
  readonly from: number;
  readonly to: number;
}

let cut: { readonly text: string; readonly width: number; readonly rows: readonly SourceRow[] } | null = null;
function rowsOf(text: string, width: number): readonly SourceRow[] {
  if (cut === null || cut.text !== text || cut.width !== width) cut = { text, width, rows: cutRows(text, width) };
  return cut.rows;
}

function cutRows(text: string, width: number): readonly SourceRow[] {
  let at = 0;
  return text.split("\n").flatMap((line) => {
    const rows = exactRows(line, width).map((row) => {
      const from = at;
      at += row.length - 1;
      return { text: row, from, to: at };
    });
    // The newline belongs to the last row of its line.
    at++;
    return rows.map((row, index) => (index === rows.length - 1 ? { ...row, to: at } : row));
  });
}

export interface ApprovalFrame {
  readonly rows: readonly string[];
  /** What has been seen once this frame is on the screen. */
  readonly readTo: number;
  /** Every row has been on the screen: an answer may be typed. */
  readonly isRead: boolean;
  /** Where a page further down, and up, and one row, would begin. */
  readonly next: number;
  readonly back: number;
  readonly down: number;
  readonly up: number;
}

/** Beyond this nobody reads: it can be said no to, and nothing else. */
const MOST_ROWS = 5000;
const LEAST_ROWS = 6;
const LEAST_WIDTH = 20;
/** Cells for "rows 1–13 of 336" and what is around it. */
const LEAST_WHERE = 20;

/** Pure. Exactly `height` rows: a title, the text, a rule, an answer. */
export function approvalFrame(
  approval: ShownApproval,
  ui: ApprovalUi,
  place: { readonly number: number; readonly of: number; readonly width: number; readonly height: number },
  theme: Theme,
): ApprovalFrame {
  const { width, height } = place;
  const all = rowsOf(ui.shown, width);
  if (height < LEAST_ROWS || width < LEAST_WIDTH) {
    // What does not fit has not been seen.
    const rows = [theme.danger(fit(" too small a window to read a question in", width)), ...Array.from({ length: height }, () => "")].slice(
      0,
      height,
    );
    return { rows, readTo: ui.readTo, isRead: false, next: ui.top, back: ui.top, down: ui.top, up: ui.top };
  }
  const room = height - 3;
  const isTooLong = all.length > MOST_ROWS;
  const last = Math.max(0, all.length - room);
  const first = Math.min(
    last,
    Math.max(
      0,
      all.findLastIndex((row) => row.from <= ui.top),
    ),
  );
  const visible = all.slice(first, first + room);
  const end = visible.at(-1)?.to ?? 0;
  // Only what joins on to what was read before: jumping to the end reads nothing.
  const readTo = (visible[0]?.from ?? 0) <= ui.readTo ? Math.max(ui.readTo, end) : ui.readTo;
  const isRead = !isTooLong && readTo >= (all.at(-1)?.to ?? 0);
  const odd = oddIn(ui.shown);
  const warning = odd === 0 ? "" : `  ⚠ ${odd} odd character${odd === 1 ? "" : "s"}`;
  const title = ` APPROVAL ${place.number}/${place.of}  ${approval.skill}  tier ${approval.tier}  expires ${clockText(approval.secondsLeft)}${warning}`;
  const offered: readonly (readonly [string, string, boolean])[] = [
    ["Space read on", "Space", !isRead],
    ["d deny", "d no", true],
    ["n deny, say why", "n why", true],
    ["r rehearse", "r try", approval.mayRehearse],
    ["Tab next", "Tab", place.of > 1],
    ["Esc later", "Esc", true],
  ];
  const keysAs = (form: 0 | 1): string =>
    offered
      .filter(([, , holds]) => holds)
      .map((key) => key[form])
      .join(form === 0 ? " · " : "·");
  // Where there is no room for sentences, and for where one is, words do.
  const keys = cells(keysAs(0)) + LEAST_WHERE > width ? keysAs(1) : keysAs(0);
  const where = ` rows ${first + 1}–${first + visible.length} of ${all.length}`;
  const at = (index: number): number => all[Math.max(0, Math.min(last, index))]?.from ?? 0;
  return {
    rows: [
      odd > 0 ? theme.danger(fit(title, width)) : theme.strong(fit(title, width)),
      ...visible.map(({ text }) => text),
      ...Array.from({ length: Math.max(0, room - visible.length) }, () => ""),
      theme.dim(justify(fit(where, Math.max(1, width - cells(keys) - 2)), `${keys} `, width)),
      answerRow(approval, ui, isRead, isTooLong, width, theme),
    ].slice(-height),
    readTo,
    isRead,
    next: at(first + Math.max(1, room - 1)),
    back: at(first - Math.max(1, room - 1)),
    down: at(first + 1),
    up: at(first - 1),
  };
}

function answerRow(approval: ShownApproval, ui: ApprovalUi, isRead: boolean, isTooLong: boolean, width: number, theme: Theme): string {
  if (ui.reason !== null) {
    const head = width < 60 ? " why not, Enter: " : " deny, and tell the model why (Enter; Esc goes back): ";
    // Its end is what is being typed.
    return theme.strong(fit(`${head}${tailOf(ui.reason, width - cells(head) - 1)}`, width));
  }
  if (isTooLong) return theme.danger(fit(" too long for anybody to read: it can only be denied", width));
  if (!isRead) return theme.dim(fit(" read it to its end; then it can be allowed", width));
  if (ui.secret !== null) return theme.strong(fit(` the parent's PIN or passphrase, and Enter: ${"•".repeat(ui.secret.length)}`, width));
  return theme.strong(fit(` type ${wordFor(approval)} and Enter: ${ui.typed}`, width));
}

function tailOf(text: string, room: number): string {
  if (cells(text) <= room) return text;
  const kept = Array.from(text);
  while (cells(kept.join("")) >= room) kept.shift();
  return `…${kept.join("")}`;
}

/** 9:41 */
export const clockText = (seconds: number): string => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
