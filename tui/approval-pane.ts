import { spellOut } from "../src/lib/exact.ts";
import type { ShownApproval } from "../src/session/approvals.ts";
import type { SessionCommand } from "../src/session/command.ts";
import type { SessionPort } from "../src/session/port.ts";
import type { TuiDeps } from "./deps.ts";
import type { InputEvent } from "./input/splitter.ts";
import { approvalActionOf } from "./keymap.ts";
import { type ApprovalFrame, approvalFrame, type ApprovalUi, openApproval, textOf, wordFor } from "./panes/approvals.ts";
import type { Theme } from "./theme.ts";

/** Milliseconds that a question has to have been before a person, as it is now, before an answer counts. */
const LEAST_SEEN = 1000;
/** And between the last letter and Enter: a burst is no answer. */
const LEAST_BEFORE_ENTER = 150;
/** Without a key for so long nobody looks: then it rings, once. */
const IDLE = 10_000;
const MOST_SECRET = 256;
/** Characters of a reason; as many as the terminal's question takes. */
const MOST_REASON = 300;

interface PaneDeps {
  readonly session: Pick<SessionPort, "view" | "dispatch">;
  readonly timers: Pick<TuiDeps["timers"], "monotonic">;
  readonly terminal: Pick<TuiDeps["terminal"], "send">;
}

/** What a key in the pane comes to. */
type Outcome = "stays" | "closes" | SessionCommand;

/**
 * The pane of questions. It opens by a key of the person's and never by itself; what was typed for something else answers nothing, because an answer is a word that is typed after
 * reading, key by key, into this pane alone.
 */
export class ApprovalPane {
  readonly #deps: PaneDeps;
  #lastInput = Number.NEGATIVE_INFINITY;
  #ui: ApprovalUi | null = null;
  #frame: ApprovalFrame | null = null;
  readonly #rung = new Set<string>();

  constructor(deps: PaneDeps) {
    this.#deps = deps;
  }

  get isOpen(): boolean {
    return this.#ui !== null;
  }

  /** By a key of the person's alone. False when nothing waits. */
  open(): boolean {
    const [first] = this.#waiting;
    this.#ui = first === undefined ? null : openApproval(first, this.#now);
    this.#frame = null;
    return first !== undefined;
  }

  /** The questions changed. One that is gone closes the pane; one that says something else has to be read again. */
  heard(): void {
    const now = this.#now;
    this.#ring(now);
    if (this.#ui === null) return;
    const found = this.#waiting.find(({ id }) => id === this.#ui?.id);
    if (found === undefined) this.#close();
    else if (textOf(found) !== this.#ui.shown)
      this.#ui = { ...openApproval(found, now), top: this.#ui.top, readTo: sharedTo(textOf(found), this.#ui) };
  }

  frame(width: number, height: number, theme: Theme): readonly string[] | null {
    const all = this.#waiting;
    const index = all.findIndex(({ id }) => id === this.#ui?.id);
    const approval = all[index];
    if (this.#ui === null || approval === undefined) return null;
    this.#frame = approvalFrame(approval, this.#ui, { number: index + 1, of: all.length, width, height }, theme);
    this.#ui = { ...this.#ui, readTo: this.#frame.readTo };
    return this.#frame.rows;
  }

  /** Whether an event was this pane's. */
  takes(event: InputEvent): boolean {
    this.#lastInput = this.#now;
    if (this.#ui === null) return false;
    const outcome = this.#handle(event, this.#waiting, this.#now);
    if (outcome === "closes") this.#close();
    else if (outcome !== "stays") this.#deps.session.dispatch(outcome);
    return true;
  }

  get #now(): number {
    return this.#deps.timers.monotonic();
  }

  get #waiting(): readonly ShownApproval[] {
    return this.#deps.session.view().approvals;
  }

  /** Once for each question, when nobody has pressed a key for a while. */
  #ring(now: number): void {
    const waiting = this.#waiting;
    for (const id of this.#rung) if (!waiting.some((approval) => approval.id === id)) this.#rung.delete(id);
    const fresh = waiting.filter(({ id }) => !this.#rung.has(id));
    if (fresh.length === 0 || now - this.#lastInput < IDLE || this.#ui !== null) return;
    for (const { id } of fresh) this.#rung.add(id);
    this.#deps.terminal.send("\u0007");
  }

  #close(): void {
    this.#ui = null;
    this.#frame = null;
  }

  #handle(event: InputEvent, approvals: readonly ShownApproval[], now: number): Outcome {
    const approval = approvals.find(({ id }) => id === this.#ui?.id);
    const ui = this.#ui;
    if (ui === null || approval === undefined) return "closes";
    if (event.kind === "wheel") {
      this.#scroll(event.rows < 0 ? "up" : "down");
      return "stays";
    }
    if (ui.reason !== null) return this.#reasonKey(event, approval, ui, now);
    // A paste, or keys that came in one read: nobody pressed them one by one. It may be a password manager's for the parent, which approves nothing by itself.
    if (event.kind === "paste") {
      if (ui.secret !== null && !event.text.includes("\n"))
        this.#ui = { ...ui, secret: (ui.secret + event.text).slice(0, MOST_SECRET), lastKey: now };
      else this.#clear(now);
      return "stays";
    }
    if (ui.secret !== null) return this.#secretKey(event.raw, approval, ui, now);
    if (!event.alone) {
      this.#clear(now);
      return "stays";
    }
    const action = approvalActionOf(event.raw);
    const settled = now - ui.openedAt >= LEAST_SEEN;
    switch (action) {
      case "later":
        return "closes";
      case "next": {
        const other = approvals[(approvals.indexOf(approval) + 1) % approvals.length];
        if (other !== undefined && other.id !== approval.id) this.#ui = openApproval(other, now);
        return "stays";
      }
      case "deny":
        return settled ? this.#answer(approval, "denied") : "stays";
      case "deny-why":
        if (settled) this.#ui = { ...ui, typed: "", reason: "", lastKey: now };
        return "stays";
      case "rehearse":
        if (!settled || !approval.mayRehearse) return "stays";
        this.#clear(now);
        return { type: "rehearse-approval", id: approval.id };
      case "page-down":
      case "page-up":
      case "down":
      case "up":
        this.#clear(now);
        this.#scroll(action);
        return "stays";
      case "submit":
        return this.#submit(approval, ui, settled, now);
      case null:
        return this.#letter(event.raw, approval, ui, settled, now);
    }
  }

  #scroll(by: "page-down" | "page-up" | "down" | "up"): void {
    if (this.#ui === null || this.#frame === null) return;
    const { next, back, down, up } = this.#frame;
    this.#ui = { ...this.#ui, top: { "page-down": next, "page-up": back, down, up }[by] };
  }

  #letter(raw: string, approval: ShownApproval, ui: ApprovalUi, settled: boolean, now: number): Outcome {
    const typed = ui.typed + raw;
    // Only the beginning of the word goes on; any other key begins anew.
    const counts = settled && this.#frame?.isRead === true && wordFor(approval).startsWith(typed);
    this.#ui = { ...ui, typed: counts ? typed : "", lastKey: now };
    return "stays";
  }

  #submit(approval: ShownApproval, ui: ApprovalUi, settled: boolean, now: number): Outcome {
    const isWord = ui.typed === wordFor(approval);
    const isPaused = now - ui.lastKey >= LEAST_BEFORE_ENTER;
    if (!isWord || !isPaused || !settled || this.#frame?.isRead !== true || textOf(approval) !== ui.shown) {
      this.#clear(now);
      return "stays";
    }
    if (!approval.needsParent) return this.#answer(approval, "allowed");
    this.#ui = { ...ui, typed: "", secret: "", lastKey: now };
    return "stays";
  }

  #secretKey(raw: string, approval: ShownApproval, ui: ApprovalUi, now: number): Outcome {
    const secret = ui.secret ?? "";
    switch (raw) {
      case "\r":
        // What is shown may have changed while it was typed.
        if (secret === "" || textOf(approval) !== ui.shown) return "stays";
        return this.#answer(approval, "allowed", { secret });
      case "\u001b":
      case "\u0003":
        this.#ui = { ...ui, secret: null, lastKey: now };
        return "stays";
      case "\u007f":
      case "\b":
        this.#ui = { ...ui, secret: Array.from(secret).slice(0, -1).join("") };
        return "stays";
      default:
        if (raw >= " " && !raw.startsWith("\u001b")) this.#ui = { ...ui, secret: (secret + raw).slice(0, MOST_SECRET) };
        return "stays";
    }
  }

  /** A no takes no reading. Its reason is the person's own words, which the model will go by: what was pasted is not, and an Enter that came with other keys is nobody's. */
  #reasonKey(event: Extract<InputEvent, { kind: "key" | "paste" }>, approval: ShownApproval, ui: ApprovalUi, now: number): Outcome {
    const reason = ui.reason ?? "";
    const becomes = (changed: string | null): Outcome => {
      this.#ui = { ...ui, reason: changed, lastKey: now };
      return "stays";
    };
    if (event.kind === "paste") return "stays";
    switch (event.raw) {
      case "\r":
        return event.alone && now - ui.lastKey >= LEAST_BEFORE_ENTER && reason.trim() !== "" && textOf(approval) === ui.shown
          ? this.#answer(approval, "denied", { reason: reason.trim() })
          : "stays";
      case "\u001b":
      case "\u0003":
        return becomes(null);
      case "\u007f":
      case "\b":
        return becomes(Array.from(reason).slice(0, -1).join(""));
      default:
        return spellOut(event.raw, false).odd === 0 && event.raw !== "\t" ? becomes((reason + event.raw).slice(0, MOST_REASON)) : "stays";
    }
  }

  #answer(
    { id, digest }: ShownApproval,
    answer: "allowed" | "denied",
    { secret = null, reason = null }: { readonly secret?: string | null; readonly reason?: string | null } = {},
  ): SessionCommand {
    this.#close();
    return { type: "answer-approval", id, digest, answer, secret, reason };
  }

  #clear(now: number): void {
    if (this.#ui !== null) this.#ui = { ...this.#ui, typed: "", lastKey: now };
  }
}

/** What a rehearsal added stands behind what was read: so much of it was read before. */
function sharedTo(text: string, before: ApprovalUi): number {
  return text.startsWith(`${before.shown}\n`) ? Math.min(before.readTo, before.shown.length) : 0;
}
