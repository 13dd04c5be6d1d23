/** The keys of the whole chat, in one place. What is not here goes to the editor, which has the usual Emacs keys. */
export type Action =
  | "submit"
  | "newline"
  | "escape"
  | "interrupt"
  | "delete-or-quit"
  | "suspend"
  | "redraw"
  | "tasks"
  | "approvals"
  | "complete"
  | "promote-paste"
  | "page-up"
  | "page-down"
  | "end"
  | "up"
  | "down"
  | "left"
  | "right";

const KEYS: Readonly<Record<string, Action>> = {
  "\r": "submit",
  "\u001b\r": "newline", // Alt-Enter
  "\n": "newline", // Ctrl-J
  "\u001b[13;2u": "newline", // Shift-Enter where the terminal tells it
  "\u001b[27;2;13~": "newline", // Shift-Enter, xterm's modifyOtherKeys
  "\u001b": "escape",
  "\u0003": "interrupt",
  "\u0004": "delete-or-quit",
  "\u001a": "suspend",
  "\u000c": "redraw",
  "\u000f": "approvals", // Ctrl-O
  "\u0014": "tasks",
  "\t": "complete",
  "\u0007": "promote-paste", // Ctrl-G
  "\u001b[5~": "page-up",
  "\u001b[6~": "page-down",
  "\u001b[F": "end",
  "\u001bOF": "end",
  "\u001b[4~": "end",
  "\u001b[A": "up",
  "\u001bOA": "up",
  "\u001b[B": "down",
  "\u001bOB": "down",
  "\u001b[C": "right",
  "\u001bOC": "right",
  "\u001b[D": "left",
  "\u001bOD": "left",
};

export const actionOf = (raw: string): Action | null => KEYS[raw] ?? null;

/** While `/find` shows its matches and nothing is typed; any other key ends it and does what it always does. */
export type FindAction = "older" | "newer" | "done";
const FIND_KEYS: Readonly<Record<string, FindAction>> = {
  n: "older",
  N: "newer",
  "\r": "older",
  "\u001b[A": "older",
  "\u001bOA": "older",
  "\u001b[B": "newer",
  "\u001bOB": "newer",
  "\u001b": "done",
};

export const findActionOf = (raw: string): FindAction | null => FIND_KEYS[raw] ?? null;

/** While a question is open. Letters of its answer are none of these. */
export type ApprovalAction = "later" | "next" | "deny" | "deny-why" | "rehearse" | "submit" | "page-down" | "page-up" | "down" | "up";
const APPROVAL_KEYS: Readonly<Record<string, ApprovalAction>> = {
  "\u001b": "later",
  "\u000f": "later",
  "\u0003": "later",
  "\t": "next",
  d: "deny",
  n: "deny-why",
  r: "rehearse",
  "\r": "submit",
  " ": "page-down",
  "\u001b[6~": "page-down",
  "\u001b[5~": "page-up",
  "\u001b[B": "down",
  "\u001bOB": "down",
  "\u001b[A": "up",
  "\u001bOA": "up",
};

export const approvalActionOf = (raw: string): ApprovalAction | null => APPROVAL_KEYS[raw] ?? null;

/** For /help. */
export const KEY_HELP: readonly (readonly [string, string])[] = [
  ["Enter", "send"],
  ["Alt-Enter, Ctrl-J, \\ Enter", "new line"],
  ["Esc", "close what is open; else stop the answer"],
  ["Ctrl-C", "stop the answer; else put the draft into history; twice leaves"],
  ["Ctrl-D", "delete; leave when nothing is typed"],
  ["Up, Down", "earlier messages of yours"],
  ["Left, Right", "on an empty line: the other takes of an answer"],
  ["PgUp, PgDn, wheel, End", "scroll, back to the end"],
  ["Tab", "complete a command"],
  ["Ctrl-G", "take a pasted piece as your own words"],
  ["Ctrl-T", "tasks"],
  ["Ctrl-O", "questions that wait; read to the end, then type allow; d denies, n says why as well"],
  ["Ctrl-L", "draw the screen anew"],
  ["Ctrl-Z", "suspend"],
  ["Ctrl-A E B F K U W Y, Alt-B F D", "edit as in Emacs; Ctrl-- undoes"],
];
