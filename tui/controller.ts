import type { MessageId, SessionId } from "../src/lib/brand.ts";
import { visibleText } from "../src/lib/message.ts";
import type { SessionEvent } from "../src/session/event.ts";
import { COMMANDS, complete, parseSlash } from "./commands.ts";
import type { TuiDeps } from "./deps.ts";
import { drawFrame, type Frame, modelItems, sessionItems } from "./frame.ts";
import type { InputEvent } from "./input/splitter.ts";
import { type Action, actionOf } from "./keymap.ts";
import { type ListItem, type ListState, matching, moveSelection, openList } from "./overlays/list.ts";
import { createTranscript, type Transcript } from "./panes/transcript.ts";
import { Composer } from "./parts/composer.ts";
import { INITIAL_UI, type UiState } from "./state.ts";
import { type Theme, themeFor } from "./theme.ts";

/** How long a second Ctrl-C counts as the second. */
const AGAIN_MS = 2000;
const HINT_MS = 4000;
const AGAIN = "Ctrl-C again to leave";
/** What terminals take through OSC 52 without cutting it. */
const MAX_CLIPBOARD = 74_000;

/**
 * The chat without a screen: input events in, frames out. Knows no Ink and no terminal, so that what a key does can be
 * tested as a function.
 */
export class Controller implements Disposable {
  readonly #deps: TuiDeps;
  readonly #theme: Theme;
  readonly #transcript: Transcript;
  readonly #composer = new Composer();
  readonly #leave: (code: number) => void;
  readonly #changed: (urgent: boolean) => void;
  readonly #stopListening: () => void;
  #ui: UiState = INITIAL_UI;
  #scroll: Frame["transcript"] = { total: 0, visible: 1, top: 0 };
  #lastInterrupt = Number.NEGATIVE_INFINITY;
  #forgetHint: () => void = () => undefined;
  #speed: { readonly turn: number; readonly since: number; tokens: number } | null = null;

  /** `changed` asks for a frame: at once after a key, soon after anything else. `leave` ends the chat. */
  constructor(deps: TuiDeps, changed: (urgent: boolean) => void, leave: (code: number) => void) {
    this.#deps = deps;
    this.#changed = changed;
    this.#leave = leave;
    this.#theme = themeFor(deps.theme);
    this.#transcript = createTranscript(this.#theme);
    this.#stopListening = deps.session.subscribe((event) => this.#heard(event));
    deps.session.dispatch({ type: "list-models" });
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
        draft: this.#composer.text,
        failure: view.lastFailure ? this.#deps.explain(view.lastFailure) : null,
        workspace: this.#deps.workspace,
        tokensPerSecond: this.#tokensPerSecond(),
        theme: this.#theme,
      },
      width,
      height,
    );
    this.#scroll = frame.transcript;
    return frame;
  }

  handle(event: InputEvent): void {
    if (event.kind === "wheel") this.#scrollBy(event.rows);
    else if (this.#deps.session.view().stick === "gone") this.#whileGone(event);
    else if (this.#listOpen() !== null) this.#listKey(event);
    else if (event.kind === "paste") this.#composer.paste(event.text);
    else this.#key(event.raw);
    this.#changed(true);
  }

  // What the session says

  #heard(event: SessionEvent): void {
    if (event.type === "turn-text" || event.type === "turn-reasoning") {
      if (this.#speed?.turn !== event.turn) this.#speed = { turn: event.turn, since: this.#deps.timers.monotonic(), tokens: 0 };
      else this.#speed.tokens += event.tokens;
    }
    if (event.type === "session-opened") this.#ui = { ...this.#ui, top: null, find: null, editing: null };
    this.#changed(false);
  }

  #tokensPerSecond(): number | null {
    const view = this.#deps.session.view();
    if (!view.live) return view.lastReply?.timings.tokensPerSecond ?? null;
    if (this.#speed?.turn !== view.live.turn) return null;
    const seconds = (this.#deps.timers.monotonic() - this.#speed.since) / 1000;
    return seconds > 0.2 ? this.#speed.tokens / seconds : null;
  }

  // Keys

  #key(raw: string): void {
    const action = actionOf(raw);
    if (this.#ui.hint !== null && action !== "interrupt") this.#hint(null);
    if (action) this.#act(action, raw);
    else {
      this.#composer.key(raw);
      this.#ui = { ...this.#ui, suggestion: 0 };
    }
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
      case "tasks":
        this.#ui = { ...this.#ui, overlay: this.#ui.overlay?.kind === "tasks" ? null : { kind: "tasks", top: 0 } };
        return;
      case "complete":
        return this.#complete();
      case "promote-paste":
        return this.#hint(this.#composer.promote() ? "the pasted text is now yours" : "nothing pasted in this draft");
      case "page-up":
        return this.#scrollBy(-Math.max(1, this.#scroll.visible - 2));
      case "page-down":
        return this.#scrollBy(Math.max(1, this.#scroll.visible - 2));
      case "end":
        if (this.#composer.empty) this.#ui = { ...this.#ui, top: null };
        else this.#composer.key(raw);
        return;
      case "up":
      case "down":
        return this.#arrow(action === "up" ? -1 : 1, raw);
    }
  }

  #arrow(by: -1 | 1, raw: string): void {
    const suggestions = complete(this.#composer.text);
    if (suggestions.length === 0) return this.#composer.key(raw);
    this.#ui = { ...this.#ui, suggestion: Math.max(0, Math.min(suggestions.length - 1, this.#ui.suggestion + by)) };
  }

  #complete(): void {
    const chosen = complete(this.#composer.text)[this.#ui.suggestion];
    if (!chosen) return;
    this.#composer.set(`/${chosen.name}${chosen.takes === "" ? "" : " "}`);
    this.#ui = { ...this.#ui, suggestion: 0 };
  }

  #escape(): void {
    if (this.#ui.overlay) this.#ui = { ...this.#ui, overlay: null };
    else if (this.#ui.editing !== null) this.#stopEditing();
    else if (complete(this.#composer.text).length > 0) this.#composer.set("");
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
    if (!running || this.#ui.hint !== null) return this.#leave(0);
    this.#hint("a download runs; it goes on where it stopped next time. Ctrl-D again to leave");
  }

  #whileGone(event: InputEvent): void {
    if (event.kind === "key" && actionOf(event.raw) === "interrupt") this.#interrupt();
  }

  #scrollBy(rows: number): void {
    const { total, visible, top } = this.#scroll;
    if (this.#ui.overlay?.kind === "help") {
      const { overlay } = this.#ui;
      this.#ui = { ...this.#ui, overlay: { ...overlay, top: Math.max(0, Math.min(COMMANDS.length + 10, overlay.top + rows)) } };
      return;
    }
    const bottom = Math.max(0, total - visible);
    const to = Math.max(0, top + rows);
    const leftAt = this.#ui.top === null ? total : this.#ui.leftAt;
    this.#ui = { ...this.#ui, top: to >= bottom ? null : to, leftAt };
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
    const chosen = complete(draft)[this.#ui.suggestion];
    const parsed = parseSlash(chosen && chosen.takes === "" ? `/${chosen.name}` : draft);
    if (parsed.kind === "unknown") {
      const near = parsed.near === null ? "" : ` Did you mean /${parsed.near}?`;
      return this.#hint(`There is no command /${parsed.name}.${near} /help lists them.`);
    }
    const ended = this.#deps.session.view().jobs.filter((job) => job.state !== "running");
    this.#ui = { ...this.#ui, top: null, overlay: null, suggestion: 0, seenJobs: ended.map((job) => job.id) };
    if (parsed.kind === "command") {
      this.#composer.toHistory();
      return this.#command(parsed.name, parsed.argument);
    }
    const spans = this.#composer.submit();
    const [first, ...rest] = spans;
    if (!first) return;
    const sent = first.text.startsWith("//") && first.kind === "typed" ? [{ ...first, text: first.text.slice(1) }, ...rest] : spans;
    const { editing } = this.#ui;
    this.#ui = { ...this.#ui, editing: null };
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
        return session.dispatch({ type: "retry" });
      case "edit":
        return this.#edit(argument);
      case "branch":
        return this.#branch(argument === "back" ? -1 : 1);
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
        return this.#needs(argument, "a name, or auto; /models lists them", (wanted) =>
          session.dispatch({ type: "use-model", name: wanted === "auto" ? null : wanted }),
        );
      case "pull":
        return this.#needs(argument, "a name; /models lists them", (wanted) => session.dispatch({ type: "pull-model", name: wanted }));
      case "import":
        return this.#needs(argument, "a GGUF file", (path) => session.dispatch({ type: "import-model", path }));
      case "cancel":
        for (const job of session.view().jobs) if (job.state === "running") session.dispatch({ type: "cancel-job", job: job.id });
        return;
      case "tasks":
        return this.#act("tasks", "");
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
    this.#composer.set(visibleText(message.spans));
    this.#ui = { ...this.#ui, editing: message.id };
    this.#hint("in other words: Enter asks anew, Esc leaves it", 60_000);
  }

  #stopEditing(): void {
    this.#ui = { ...this.#ui, editing: null };
    this.#composer.set("");
  }

  #branch(by: 1 | -1): void {
    const shown = this.#deps.session.view().path.findLast((entry) => entry.takes > 1);
    const next = shown && shown.siblings[(shown.take - 1 + by + shown.takes) % shown.takes];
    if (next) this.#deps.session.dispatch({ type: "branch", message: next });
    else this.#hint("nothing here has several takes; /retry and /edit make them");
  }

  #copy(argument: string): void {
    const answers = this.#deps.session.view().path.filter(({ message }) => message.role === "assistant" && !message.redacted);
    const message = answers.at(-(Number.parseInt(argument, 10) || 1))?.message;
    if (!message) return this.#hint("there is no such answer");
    const bytes = new TextEncoder().encode(visibleText(message.spans));
    if (bytes.length > MAX_CLIPBOARD) return this.#hint(`too long for the clipboard (${bytes.length} bytes); /export writes it to a file`);
    this.#deps.terminal.send(`\u001b]52;c;${bytes.toBase64()}\u0007`);
    this.#hint(`${bytes.length} bytes handed to the terminal's clipboard`);
  }

  #find(argument: string): void {
    const needle = argument === "" ? (this.#ui.find?.needle ?? "") : argument;
    if (needle === "") return this.#hint("it needs a text to find");
    const from = argument === "" ? (this.#ui.find?.row ?? this.#scroll.total) - 1 : this.#scroll.total - 1;
    const { columns } = this.#deps.terminal.size;
    const layout = this.#transcript.layout(this.#deps.session.view(), columns, { reasoning: this.#ui.reasoning, failure: null });
    const row = layout.find(needle, Math.min(from, layout.total - 1), -1);
    if (row === null) return this.#hint(`“${needle}” is not ${argument === "" ? "further up" : "in this conversation"}`);
    const top = Math.max(0, row - Math.floor(this.#scroll.visible / 2));
    this.#ui = {
      ...this.#ui,
      find: { needle, row },
      top: top >= this.#scroll.total - this.#scroll.visible ? null : top,
      leftAt: this.#scroll.total,
    };
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
    const chosen = found[overlay.list.selected];
    const put = (list: ListState) => (this.#ui = { ...this.#ui, overlay: { ...overlay, list } });
    const raw = event.kind === "key" ? event.raw : "";
    switch (actionOf(raw)) {
      case "up":
        return void put(moveSelection(overlay.list, -1, found.length));
      case "down":
        return void put(moveSelection(overlay.list, 1, found.length));
      case "escape":
      case "interrupt":
        this.#ui = { ...this.#ui, overlay: null, hint: null };
        return;
      case "submit":
        this.#ui = { ...this.#ui, overlay: null, hint: null };
        return chosen && this.#choose(overlay.kind, chosen);
      case "delete-or-quit":
        return overlay.kind === "sessions" && chosen ? this.#forget(chosen) : undefined;
      default:
        if (raw === "\u007f") put({ ...overlay.list, filter: overlay.list.filter.slice(0, -1), selected: 0 });
        else if (raw >= " " && !raw.startsWith("\u001b")) put({ ...overlay.list, filter: overlay.list.filter + raw, selected: 0 });
    }
  }

  #choose(kind: "sessions" | "models", { id }: ListItem): void {
    const { session } = this.#deps;
    if (kind === "sessions") return session.dispatch({ type: "open-session", session: id as SessionId });
    const model = session.view().catalogue.find((known) => known.name === id);
    if (model?.state === "ready") session.dispatch({ type: "use-model", name: model.name });
    else if (model?.state === "downloadable") session.dispatch({ type: "pull-model", name: model.name });
    else if (model?.state === "found-on-host" && model.path !== null) session.dispatch({ type: "import-model", path: model.path });
  }

  /** Forgetting is for good, so it takes two presses on the same conversation. */
  #forget({ id, text }: ListItem): void {
    const question = `Ctrl-D again forgets “${text}” for good`;
    if (this.#ui.hint !== question) return this.#hint(question);
    this.#hint(null);
    this.#deps.session.dispatch({ type: "delete-session", session: id as SessionId });
  }
}
