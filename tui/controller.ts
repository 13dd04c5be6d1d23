import type { MessageId, SessionId } from "../src/lib/brand.ts";
import { visibleText } from "../src/lib/message.ts";
import type { SessionEvent } from "../src/session/event.ts";
import { ApprovalPane } from "./approval-pane.ts";
import { complete, isCommandLine, parseSlash, type SlashCommand } from "./commands.ts";
import type { TuiDeps } from "./deps.ts";
import { drawFrame, type Frame, modelItems, sessionItems } from "./frame.ts";
import type { InputEvent } from "./input/splitter.ts";
import { type Action, actionOf, type FindAction, findActionOf } from "./keymap.ts";
import { inputToList, type ListItem, type ListState, matching, openList } from "./overlays/list.ts";
import type { Match, TranscriptLayout } from "./panes/scroll.ts";
import { createTranscript, type Transcript } from "./panes/transcript.ts";
import { Composer } from "./parts/composer.ts";
import { toClipboard } from "./parts/clipboard.ts";
import { whyNotUsed } from "./parts/model-wish.ts";
import { Speed } from "./parts/speed.ts";
import { INITIAL_UI, type UiState } from "./state.ts";
import { type Theme, themeFor, THEMES } from "./theme.ts";

/** How long a second Ctrl-C counts as the second. */
const AGAIN_MS = 2000;
const HINT_MS = 4000;
const AGAIN = "Ctrl-C again to leave";
const EDITING = "in other words: Enter asks anew, Esc leaves it";

/**
 * The chat without a screen: input events in, frames out. Knows no Ink and no terminal, so that what a key does can be
 * tested as a function.
 */
export class Controller implements Disposable {
  readonly #deps: TuiDeps;
  #theme: Theme;
  #transcript: Transcript;
  readonly #composer = new Composer();
  readonly #leave: (code: number) => void;
  readonly #changed: (urgent: boolean) => void;
  readonly #stopListening: () => void;
  #ui: UiState = INITIAL_UI;
  #drawn: Pick<Frame, "room" | "chatWidth" | "overlayRows"> = { room: 1, chatWidth: 80, overlayRows: 0 };
  #lastInterrupt = Number.NEGATIVE_INFINITY;
  #lastQuit = Number.NEGATIVE_INFINITY;
  #forgetHint: () => void = () => undefined;
  readonly #speed = new Speed();
  readonly #approvals: ApprovalPane;

  /** `changed` asks for a frame: at once after a key, soon after anything else. `leave` ends the chat. */
  constructor(deps: TuiDeps, changed: (urgent: boolean) => void, leave: (code: number) => void) {
    this.#deps = deps;
    this.#approvals = new ApprovalPane(deps);
    this.#changed = changed;
    this.#leave = leave;
    this.#theme = themeFor(deps.theme);
    this.#transcript = createTranscript(this.#theme);
    this.#stopListening = deps.session.subscribe((event) => this.#heard(event));
  }

  /** What can wait until the first frame stands. */
  begin(): void {
    this.#deps.session.dispatch({ type: "list-models" });
  }

  [Symbol.dispose](): void {
    this.#stopListening();
    this.#forgetHint();
  }

  frame(width: number, height: number): Frame {
    const view = this.#deps.session.view();
    const frame = drawFrame(
      {
        view,
        ui: this.#ui,
        transcript: this.#transcript,
        composer: (room) => this.#composer.frame(room),
        suggestions: this.#suggestions(),
        failure: view.lastFailure ? this.#deps.explain(view.lastFailure) : null,
        approval: this.#approvals.isOpen ? (wide, high) => this.#approvals.frame(wide, high, this.#theme) : null,
        workspace: this.#deps.workspace,
        hint: this.#ui.hint ?? this.#standingHint(),
        tokensPerSecond: this.#speed.tokensPerSecond(view, this.#deps.timers.monotonic()),
        theme: this.#theme,
      },
      width,
      height,
    );
    this.#drawn = frame;
    return frame;
  }

  handle(event: InputEvent): void {
    if (this.#deps.session.view().stick === "gone") this.#whileGone(event);
    else if (this.#approvals.takes(event)) this.#hint(null);
    else if (this.#listOpen() !== null) this.#listKey(event);
    else if (event.kind === "wheel") this.#scrollBy(event.rows);
    else if (event.kind === "paste") this.#paste(event.text, event.bracketed);
    else this.#key(event.raw);
    this.#changed(true);
  }

  // What the session says

  #heard(event: SessionEvent): void {
    this.#speed.hear(event, this.#deps.timers.monotonic());
    if (event.type === "approvals") this.#approvals.heard();
    if (event.type === "session-opened") this.#ui = { ...this.#ui, top: null, find: null, editing: null };
    // The message may not be on the path any more.
    if (event.type === "path-changed" && this.#ui.editing !== null && !event.path.some(({ message }) => message.id === this.#ui.editing))
      this.#ui = { ...this.#ui, editing: null };
    this.#changed(false);
  }

  // Keys

  #key(raw: string): void {
    const action = actionOf(raw);
    if (this.#ui.hint !== null && action !== "interrupt") this.#hint(null);
    if (this.#ui.find) {
      const step = this.#composer.empty ? findActionOf(raw) : null;
      if (step) return this.#findStep(step);
      // Scrolling about among the matches does not end the search.
      if (action !== "page-up" && action !== "page-down") this.#ui = { ...this.#ui, find: null };
    }
    if (action) this.#act(action, raw);
    else {
      this.#composer.key(raw);
      this.#ui = { ...this.#ui, suggestion: 0, recalling: false };
    }
  }

  /**
   * A command that came in one read is taken as typed: it is seen before Enter and can become no part of a message. Programs
   * that drive a terminal, and slow links, send whole lines. With brackets it is a paste like any other.
   */
  #paste(text: string, bracketed: boolean): void {
    if (this.#ui.hint !== null) this.#hint(null);
    if (!bracketed && this.#composer.empty && isCommandLine(text)) this.#composer.insert(text);
    else this.#composer.paste(text);
    this.#ui = { ...this.#ui, suggestion: 0, find: null };
  }

  /** What the status line says as long as it is so. */
  #standingHint(): string | null {
    const { find, editing } = this.#ui;
    if (find) return `“${find.needle}” ${find.number} of ${find.of}: n older, N newer, Esc done`;
    return editing === null ? null : EDITING;
  }

  #act(action: Action, raw: string): void {
    switch (action) {
      case "submit":
        return this.#composer.takeBackslash() ? this.#composer.newline() : this.#submit();
      case "newline":
        return this.#composer.newline();
      case "escape":
        return this.#escape();
      case "interrupt":
        return this.#interrupt();
      case "delete-or-quit":
        return this.#composer.empty ? this.#quit() : this.#composer.key(raw);
      case "suspend":
        return this.#deps.terminal.suspend();
      case "redraw":
        return;
      case "approvals":
        this.#ui = { ...this.#ui, overlay: null };
        return this.#approvals.open() ? undefined : this.#hint("nothing waits for an answer");
      case "tasks":
        this.#ui = { ...this.#ui, overlay: this.#ui.overlay?.kind === "tasks" ? null : { kind: "tasks", top: 0 } };
        return;
      case "complete":
        return this.#complete();
      case "promote-paste":
        return this.#hint(this.#composer.promote() ? "the pasted text is now yours" : "nothing pasted in this draft");
      case "page-up":
        return this.#scrollBy(-Math.max(1, this.#drawn.room - 2));
      case "page-down":
        return this.#scrollBy(Math.max(1, this.#drawn.room - 2));
      case "end":
        if (this.#composer.empty) this.#ui = { ...this.#ui, top: null };
        else this.#composer.key(raw);
        return;
      case "up":
      case "down":
        return this.#arrow(action === "up" ? -1 : 1, raw);
      case "left":
      case "right":
        // On an empty line there is nowhere to go; the takes of an answer lie side by side.
        if (this.#composer.empty && this.#takesShown()) this.#branch(action === "left" ? "back" : "next");
        else this.#composer.key(raw);
    }
  }

  /** None while the arrows go through history: what they bring back is not being typed. */
  #suggestions(): readonly SlashCommand[] {
    return this.#ui.recalling ? [] : complete(this.#composer.text);
  }

  #arrow(by: -1 | 1, raw: string): void {
    const suggestions = this.#suggestions();
    if (suggestions.length === 0) {
      this.#ui = { ...this.#ui, recalling: true };
      return this.#composer.key(raw);
    }
    this.#ui = { ...this.#ui, suggestion: Math.max(0, Math.min(suggestions.length - 1, this.#ui.suggestion + by)) };
  }

  #complete(): void {
    const chosen = complete(this.#composer.text)[this.#ui.suggestion];
    this.#ui = { ...this.#ui, recalling: false };
    if (!chosen) return;
    this.#composer.set(`/${chosen.name}${chosen.takes === "" ? "" : " "}`);
    this.#ui = { ...this.#ui, suggestion: 0 };
  }

  #escape(): void {
    if (this.#ui.overlay) this.#ui = { ...this.#ui, overlay: null };
    else if (this.#ui.editing !== null) this.#stopEditing();
    else if (this.#suggestions().length > 0) this.#composer.set("");
    else this.#deps.session.dispatch({ type: "cancel" });
  }

  #interrupt(): void {
    const again = this.#deps.timers.monotonic() - this.#lastInterrupt < AGAIN_MS;
    this.#lastInterrupt = Number.NEGATIVE_INFINITY;
    if (this.#deps.session.view().live) return this.#deps.session.dispatch({ type: "cancel" });
    if (!this.#composer.empty) {
      this.#composer.toHistory();
      return this.#hint("the draft is in the history: Up brings it back");
    }
    if (again) return this.#leave(0);
    this.#lastInterrupt = this.#deps.timers.monotonic();
    this.#hint(AGAIN, AGAIN_MS);
  }

  #quit(): void {
    const running = this.#deps.session.view().jobs.some((job) => job.state === "running");
    const again = this.#deps.timers.monotonic() - this.#lastQuit < HINT_MS;
    if (!running || again) return this.#leave(0);
    this.#lastQuit = this.#deps.timers.monotonic();
    this.#hint("a download runs; it goes on where it stopped next time. Ctrl-D again to leave");
  }

  #whileGone(event: InputEvent): void {
    if (event.kind === "key" && actionOf(event.raw) === "interrupt") this.#interrupt();
  }

  #scrollBy(rows: number): void {
    const { overlay, top } = this.#ui;
    const { room, overlayRows } = this.#drawn;
    if (overlay?.kind === "help") {
      this.#ui = { ...this.#ui, overlay: { ...overlay, top: Math.max(0, Math.min(overlayRows - room + 1, overlay.top + rows)) } };
    } else if (overlay === null) {
      const layout = this.#layout();
      const to = layout.scroll(top, rows, room);
      this.#ui = { ...this.#ui, top: to, leftAt: top === null ? layout.extent : this.#ui.leftAt };
    }
  }

  #layout(): TranscriptLayout {
    const view = this.#deps.session.view();
    const failure = view.lastFailure ? this.#deps.explain(view.lastFailure) : null;
    return this.#transcript.layout(view, this.#drawn.chatWidth, { reasoning: this.#ui.reasoning, failure });
  }

  /** Said in the status line, and gone after a while. */
  #hint(text: string | null, ms = HINT_MS): void {
    this.#forgetHint();
    this.#ui = { ...this.#ui, hint: text };
    if (text === null) return;
    this.#forgetHint = this.#deps.timers.after(ms, () => {
      this.#ui = { ...this.#ui, hint: null };
      this.#changed(false);
    });
  }

  // Messages and commands

  #submit(): void {
    const draft = this.#composer.text;
    if (draft.trim() === "") return;
    // The chosen suggestion is what Enter means while the list is open.
    const chosen = this.#suggestions()[this.#ui.suggestion];
    const written = draft.startsWith("/") ? this.#composer.expanded : draft;
    const parsed = parseSlash(chosen && chosen.takes === "" ? `/${chosen.name}` : written);
    if (parsed.kind === "unknown") {
      // Out of the way, or what is typed next would be glued to it and go out as a message.
      this.#composer.toHistory();
      const near = parsed.near === null ? "" : ` Did you mean /${parsed.near}?`;
      return this.#hint(`There is no command /${parsed.name}.${near} /help lists them; Up brings it back.`);
    }
    const ended = this.#deps.session.view().jobs.filter((job) => job.state !== "running");
    this.#ui = { ...this.#ui, overlay: null, suggestion: 0, recalling: false, seenJobs: ended.map((job) => job.id) };
    if (parsed.kind === "command") {
      this.#composer.toHistory();
      return this.#command(parsed.name, parsed.argument);
    }
    const spans = this.#composer.submit();
    const [first, ...rest] = spans;
    if (!first) return;
    const sent = first.text.startsWith("//") && first.kind === "typed" ? [{ ...first, text: first.text.slice(1) }, ...rest] : spans;
    const { editing } = this.#ui;
    this.#ui = { ...this.#ui, editing: null, top: null };
    if (editing === null) this.#deps.session.dispatch({ type: "prompt", spans: sent });
    else this.#deps.session.dispatch({ type: "edit", message: editing as MessageId, spans: sent });
  }

  #command(name: string, argument: string): void {
    const { session } = this.#deps;
    switch (name) {
      case "help":
        this.#ui = { ...this.#ui, overlay: { kind: "help", top: 0 } };
        return;
      case "new":
      case "private":
        return session.dispatch({ type: "new-session", ephemeral: name === "private" });
      case "sessions":
        session.dispatch({ type: "list-sessions" });
        this.#ui = {
          ...this.#ui,
          overlay: { kind: "sessions", list: openList("Conversations", "type to narrow · Enter opens · Ctrl-D twice forgets · Esc") },
        };
        return;
      case "models":
        session.dispatch({ type: "list-models" });
        this.#ui = { ...this.#ui, overlay: { kind: "models", list: openList("Models", "type to narrow · Enter uses or pulls it · Esc") } };
        return;
      case "retry":
        this.#ui = { ...this.#ui, top: null };
        return session.dispatch({ type: "retry" });
      case "edit":
        return this.#edit(argument);
      case "branch":
        return this.#branch(argument === "" || argument === "next" ? "next" : argument === "back" ? "back" : Number(argument));
      case "copy":
        return this.#copy(argument);
      case "find":
        return this.#find(argument);
      case "export":
        return this.#needs(argument, "a file, like /export talk.md", (path) => session.dispatch({ type: "export", path }));
      case "reasoning":
        this.#ui = { ...this.#ui, reasoning: !this.#ui.reasoning };
        return;
      case "model":
        return this.#needs(argument, "a name, or auto; /models lists them", (wanted) => this.#useModel(wanted));
      case "pull":
        return this.#needs(argument, "a name; /models lists them", (wanted) => session.dispatch({ type: "pull-model", name: wanted }));
      case "import":
        return this.#needs(argument, "a GGUF file", (path) => session.dispatch({ type: "import-model", path }));
      case "cancel":
        for (const job of session.view().jobs) if (job.state === "running") session.dispatch({ type: "cancel-job", job: job.id });
        return;
      case "tasks":
      case "approvals":
        return this.#act(name, "");
      case "theme":
        return this.#needs(argument, `one of ${THEMES.join(", ")}`, (wanted) => this.#useTheme(wanted));
      case "redraw":
        return this.#act("redraw", "");
      case "quit":
        return this.#leave(0);
      default:
        return this.#hint(`/${name} is not to be had here`);
    }
  }

  #needs(argument: string, what: string, work: (argument: string) => void): void {
    if (argument === "") this.#hint(`it needs ${what}`);
    else work(argument);
  }

  #edit(argument: string): void {
    const asked = this.#deps.session.view().path.filter(({ message }) => message.role === "user" && !message.redacted);
    const message = asked.at(-(Number.parseInt(argument, 10) || 1))?.message;
    if (!message) return this.#hint("there is no such message of yours");
    this.#composer.setSpans(message.spans);
    this.#ui = { ...this.#ui, editing: message.id };
  }

  #useModel(wanted: string): void {
    const { session } = this.#deps;
    if (wanted === "auto") return session.dispatch({ type: "use-model", name: null });
    const fault = whyNotUsed(wanted, session.view().catalogue);
    if (fault === null) session.dispatch({ type: "use-model", name: wanted });
    else this.#hint(fault);
  }

  #useTheme(wanted: string): void {
    const setting = THEMES.find((name) => name === wanted);
    if (!setting) return this.#hint(`there is no theme ${wanted}; there are ${THEMES.join(", ")}`);
    this.#theme = themeFor({ ...this.#deps.theme, setting });
    this.#transcript = createTranscript(this.#theme);
    this.#hint(`theme ${setting} until you leave; “noctem config set theme ${setting}” keeps it`);
  }

  #stopEditing(): void {
    this.#ui = { ...this.#ui, editing: null };
    this.#composer.set("");
  }

  #takesShown() {
    return this.#deps.session.view().path.findLast((entry) => entry.takes > 1);
  }

  /** `to` is a take's number, counted from 1. */
  #branch(to: "next" | "back" | number): void {
    const shown = this.#takesShown();
    if (!shown) return this.#hint("nothing here has several takes; /retry and /edit make them");
    const { take, takes, siblings } = shown;
    const index = typeof to === "number" ? to - 1 : (take - 1 + (to === "next" ? 1 : -1) + takes) % takes;
    const message = siblings[index];
    if (message) this.#deps.session.dispatch({ type: "branch", message });
    else this.#hint(`there are takes 1 to ${takes}`);
  }

  #copy(argument: string): void {
    const answers = this.#deps.session.view().path.filter(({ message }) => message.role === "assistant" && !message.redacted);
    const message = answers.at(-(Number.parseInt(argument, 10) || 1))?.message;
    if (!message) return this.#hint("there is no such answer");
    const { sequence, said } = toClipboard(visibleText(message.spans));
    if (sequence !== null) this.#deps.terminal.send(sequence);
    this.#hint(said);
  }

  #find(argument: string): void {
    if (argument === "") return this.#hint("it needs a text, like /find zstd");
    const found = this.#layout().matches(argument);
    if (found.length === 0) return this.#hint(`“${argument}” is not in this conversation`);
    this.#showMatch(argument, found, found.length - 1);
  }

  #findStep(step: FindAction): void {
    const { find } = this.#ui;
    if (!find) return;
    if (step === "done") {
      this.#ui = { ...this.#ui, find: null };
      return;
    }
    // Searched again: an answer may have grown, a new width may have moved the rows.
    const found = this.#layout().matches(find.needle);
    const here = found.findIndex((match) => match.id === find.at.id && match.offset >= find.at.offset);
    const from = here < 0 ? found.length : here;
    if (found.length > 0) this.#showMatch(find.needle, found, (from + (step === "older" ? -1 : 1) + found.length) % found.length);
  }

  #showMatch(needle: string, found: readonly Match[], index: number): void {
    const at = found[index];
    if (!at) return;
    const layout = this.#layout();
    const top = layout.scroll(at, -Math.floor(this.#drawn.room / 2), this.#drawn.room);
    const leftAt = this.#ui.top === null ? layout.extent : this.#ui.leftAt;
    this.#ui = { ...this.#ui, find: { needle, at, number: index + 1, of: found.length }, top, leftAt };
  }

  // Lists to choose from

  #listOpen(): ListState | null {
    const { overlay } = this.#ui;
    return overlay?.kind === "sessions" || overlay?.kind === "models" ? overlay.list : null;
  }

  #listKey(event: InputEvent): void {
    const { overlay } = this.#ui;
    if (overlay?.kind !== "sessions" && overlay?.kind !== "models") return;
    const view = this.#deps.session.view();
    const found = matching(overlay.kind === "sessions" ? sessionItems(view.sessions) : modelItems(view.catalogue), overlay.list.filter);
    const { list, done, chosen } = inputToList(overlay.list, found, event);
    this.#ui = { ...this.#ui, overlay: done === "open" || done === "delete" ? { ...overlay, list } : null };
    if (done === "delete") {
      if (overlay.kind === "sessions" && chosen) this.#forget(chosen);
      return;
    }
    this.#hint(null);
    if (done === "choose" && chosen) this.#choose(overlay.kind, chosen);
  }

  #choose(kind: "sessions" | "models", { id }: ListItem): void {
    const { session } = this.#deps;
    if (kind === "sessions") return session.dispatch({ type: "open-session", session: id as SessionId });
    const model = session.view().catalogue.find((known) => known.name === id);
    if (model?.state === "ready") session.dispatch({ type: "use-model", name: model.name });
    else if (model?.state === "downloadable") session.dispatch({ type: "pull-model", name: model.name });
    else if (model?.state === "found-on-host" && model.path !== null) session.dispatch({ type: "import-model", path: model.path });
    else if (model) this.#hint(`${model.name} cannot be used: ${model.verdict}`);
  }

  /** Forgetting is for good, so it takes two presses on the same conversation. */
  #forget({ id, text }: ListItem): void {
    const question = `Ctrl-D again forgets “${text.trim()}” for good`;
    if (this.#ui.hint !== question) return this.#hint(question);
    this.#hint(null);
    this.#deps.session.dispatch({ type: "delete-session", session: id as SessionId });
  }
}
