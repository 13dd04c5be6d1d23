import type { MessageId, SessionId } from "../src/lib/brand.ts";
import { reasoningText, visibleText } from "../src/lib/message.ts";
import type { SessionEvent } from "../src/session/event.ts";
import type { SessionPort } from "../src/session/port.ts";
import { COMMANDS, parseSlash } from "./commands.ts";
import type { TuiDeps } from "./deps.ts";
import { sizeText } from "./text/rows.ts";
import { chatText } from "./text/sanitise.ts";

export interface PlainDeps {
  readonly session: SessionPort;
  readonly explain: TuiDeps["explain"];
  readonly signal: AbortSignal;
  readonly write: (text: string) => void;
  /** Lines that the person enters, one by one; ends with the input. The terminal does its own line editing. */
  readonly lines: AsyncIterable<string>;
}

/** What a screen alone can do. */
const NEEDS_SCREEN = new Set(["copy", "theme", "redraw"]);
const MAX_FOUND = 20;

/**
 * The chat in lines that only ever grow: for screen readers, dumb terminals and windows too small for a screen. Nothing is
 * drawn over, every question is numbered, and there is nothing to see but words.
 */
export async function startPlain(deps: PlainDeps): Promise<number> {
  using chat = new PlainChat(deps);
  return await chat.run();
}

class PlainChat implements Disposable {
  readonly #deps: PlainDeps;
  readonly #stopListening: () => void;
  /** Questions that were mentioned. */
  readonly #told = new Set<string>();
  #streaming = false;
  #reasoning = false;
  #listed: readonly SessionId[] = [];
  /** The message that the next line says in other words. */
  #editing: MessageId | null = null;

  constructor(deps: PlainDeps) {
    this.#deps = deps;
    this.#stopListening = deps.session.subscribe((event) => this.#heard(event));
  }

  async run(): Promise<number> {
    const { write, signal } = this.#deps;
    write(
      "Noctem. Enter sends a line, and on an empty line stops an answer; /help lists the commands; /quit or the end of input leaves.\n",
    );
    const left = Promise.withResolvers<null>();
    signal.addEventListener("abort", () => left.resolve(null), { once: true });
    if (signal.aborted) left.resolve(null);
    const lines = this.#deps.lines[Symbol.asyncIterator]();
    const nextLine = async () => {
      const next = await lines.next();
      return next.done === true ? null : next.value;
    };
    let coming = nextLine();
    for (;;) {
      write("> ");
      const line = await Promise.race([coming, left.promise]);
      if (line === null || !this.#line(line)) break;
      coming = nextLine();
      // An empty line meanwhile stops the answer; any other waits until it is there.
      for (let settled = false; !settled;) {
        const during = await Promise.race([this.#deps.session.settled(), coming, left.promise]);
        if (typeof during !== "string" || during.trim() !== "") settled = true;
        else {
          this.#deps.session.dispatch({ type: "cancel" });
          coming = nextLine();
        }
      }
      await Promise.race([this.#deps.session.settled(), left.promise]);
      if (signal.aborted) break;
    }
    write("\n");
    return 0;
  }

  [Symbol.dispose](): void {
    this.#stopListening();
  }

  /** False ends the chat. */
  #line(line: string): boolean {
    const { session, write } = this.#deps;
    if (line.trim() === "") {
      if (this.#editing !== null) write("Left as it was.\n");
      this.#editing = null;
      return true;
    }
    const parsed = parseSlash(line);
    if (parsed.kind === "unknown")
      write(`There is no command /${parsed.name}.${parsed.near === null ? "" : ` Did you mean /${parsed.near}?`}\n`);
    else if (parsed.kind === "command") return this.#command(parsed.name, parsed.argument);
    else {
      const spans = [{ kind: "typed", text: line.startsWith("//") ? line.slice(1) : line }] as const;
      if (this.#editing === null) session.dispatch({ type: "prompt", spans });
      else session.dispatch({ type: "edit", message: this.#editing, spans });
      this.#editing = null;
    }
    return true;
  }

  #command(name: string, argument: string): boolean {
    const { session, write } = this.#deps;
    switch (name) {
      case "quit":
        return false;
      case "help":
        write(
          COMMANDS.filter((command) => !NEEDS_SCREEN.has(command.name))
            .map((command) => `/${command.name}${command.takes === "" ? "" : ` ${command.takes}`}: ${command.describe}\n`)
            .join(""),
        );
        break;
      case "new":
      case "private":
        session.dispatch({ type: "new-session", ephemeral: name === "private" });
        break;
      case "retry":
        session.dispatch({ type: "retry" });
        break;
      case "edit":
        this.#edit(argument);
        break;
      case "branch":
        this.#branch(argument);
        break;
      case "find":
        this.#find(argument);
        break;
      case "reasoning":
        write(this.#lastReasoning());
        break;
      case "sessions":
        this.#sessions(argument);
        break;
      case "models":
        session.dispatch({ type: "list-models" });
        break;
      case "model":
        this.#needs(argument, (wanted) => session.dispatch({ type: "use-model", name: wanted === "auto" ? null : wanted }));
        break;
      case "pull":
        this.#needs(argument, (wanted) => session.dispatch({ type: "pull-model", name: wanted }));
        break;
      case "import":
        this.#needs(argument, (path) => session.dispatch({ type: "import-model", path }));
        break;
      case "export":
        this.#needs(argument, (path) => session.dispatch({ type: "export", path }));
        break;
      case "tasks":
        write(session.view().jobs.map(jobLine).join("") || "Nothing runs.\n");
        break;
      case "cancel":
        for (const job of session.view().jobs) if (job.state === "running") session.dispatch({ type: "cancel-job", job: job.id });
        break;
      default:
        write(`/${name} needs the full screen.\n`);
    }
    return true;
  }

  #needs(argument: string, work: (argument: string) => void): void {
    if (argument === "") this.#deps.write("It needs a name or a file behind it; /help says which.\n");
    else work(argument);
  }

  #edit(argument: string): void {
    const { session, write } = this.#deps;
    const asked = session.view().path.filter(({ message }) => message.role === "user" && !message.redacted);
    const message = asked.at(-(Number.parseInt(argument, 10) || 1))?.message;
    if (!message) return write("There is no such message of yours.\n");
    this.#editing = message.id;
    write(`You wrote: ${chatText(visibleText(message.spans))}\nThe next line takes its place; an empty one leaves it.\n`);
  }

  #branch(argument: string): void {
    const { session, write } = this.#deps;
    const shown = session.view().path.findLast((entry) => entry.takes > 1);
    if (!shown) return write("Nothing here has several takes; /retry and /edit make them.\n");
    const wanted = argument === "" ? (shown.take % shown.takes) + 1 : Number(argument);
    const message = shown.siblings[wanted - 1];
    if (!message) return write(`There are takes 1 to ${shown.takes}.\n`);
    session.dispatch({ type: "branch", message });
    void session.settled().then(() => {
      const now = session.view().path.findLast((entry) => entry.message.id === message)?.message;
      if (now) write(`Take ${wanted} of ${shown.takes}: ${chatText(visibleText(now.spans))}\n`);
    });
  }

  #find(argument: string): void {
    const wanted = argument.toLowerCase();
    if (wanted === "") return this.#deps.write("It needs a text, like /find zstd.\n");
    const found = this.#deps.session.view().path.flatMap(({ message }) =>
      chatText(visibleText(message.spans))
        .split("\n")
        .filter((line) => line.toLowerCase().includes(wanted))
        .map((line) => `${message.role === "user" ? "you" : "Noctem"}: ${line}\n`),
    );
    const rest = found.length > MAX_FOUND ? `and ${found.length - MAX_FOUND} earlier ones.\n` : "";
    this.#deps.write(found.length === 0 ? "Nothing found.\n" : found.slice(-MAX_FOUND).join("") + rest);
  }

  #lastReasoning(): string {
    const thought = this.#deps.session.view().path.map(({ message }) => reasoningText(message.spans));
    return chatText(thought.findLast((text) => text !== "") ?? "No reasoning in this conversation.").trim() + "\n";
  }

  /** Without a number it lists; with one it opens that conversation. */
  #sessions(argument: string): void {
    const { session, write } = this.#deps;
    const chosen = this.#listed[Number(argument) - 1];
    if (chosen) return session.dispatch({ type: "open-session", session: chosen });
    session.dispatch({ type: "list-sessions" });
    const { sessions } = session.view();
    this.#listed = sessions.map((entry) => entry.id);
    write(sessions.map((entry, index) => `${index + 1}. ${chatText(entry.title)}\n`).join("") || "No conversations yet.\n");
    if (sessions.length > 0) write("/sessions NUMBER opens one.\n");
  }

  #heard(event: SessionEvent): void {
    const { write } = this.#deps;
    switch (event.type) {
      case "session-opened":
        for (const { message } of event.path)
          write(`${message.role === "user" ? "you" : "Noctem"}: ${chatText(visibleText(message.spans)) || "(forgotten)"}\n`);
        if (event.path.length === 0)
          write(event.store.kind === "stored" ? "(a new conversation)\n" : "(a conversation kept in memory alone)\n");
        if (event.store.warning !== null) write(`warning: ${chatText(event.store.warning)}\n`);
        return;
      case "turn-text":
        if (!this.#streaming) write("Noctem: ");
        this.#streaming = true;
        return write(chatText(event.text));
      case "turn-reasoning":
        if (!this.#reasoning) write("(thinking)\n");
        this.#reasoning = true;
        return;
      case "turn-ended":
      case "turn-failed": {
        if (this.#streaming) write("\n");
        this.#streaming = false;
        this.#reasoning = false;
        if (event.type === "turn-failed") write(`Error: ${chatText(this.#deps.explain(event.failure))}\n`);
        else if (event.stop !== "end") write(`(stopped: ${event.stop})\n`);
        return;
      }
      case "prompt-queued":
        return write(this.#deps.session.view().live ? "(waits for its turn)\n" : "(goes out when a model is ready)\n");
      case "notice":
        return write(`${event.severity}: ${chatText(event.text)}\n`);
      case "turn-trimmed":
        return write(`warning: the ${event.dropped} oldest messages were left out.\n`);
      case "job":
        if (event.job.state !== "running") write(jobLine(event.job));
        return;
      case "models-listed":
        return write(
          event.models
            .map(
              (model) =>
                `${chatText(model.name)}: ${model.state.replaceAll("-", " ")}, ${sizeText(model.size)}, ${chatText(model.verdict)}\n`,
            )
            .join(""),
        );
      case "model":
        if (event.tier !== "quick") return;
        if (event.state.kind === "ready") write(`(model: ${chatText(event.state.name)})\n`);
        if (event.state.kind === "none") write(`(no model. ${chatText(event.state.hint)})\n`);
        if (event.state.kind === "failed") write(`(${chatText(event.state.name)} does not load)\n`);
        return;
      case "approvals": {
        const fresh = event.approvals.filter(({ id }) => !this.#told.has(id));
        for (const { id, skill } of fresh) {
          this.#told.add(id);
          write(`(${skill} waits for an answer: noctem approvals show ${id.slice(0, 8)}, in another terminal)\n`);
        }
        return;
      }
      case "stick":
        return write(event.state === "gone" ? "The stick is gone. Put it back to go on.\n" : "The stick is back.\n");
      default:
        return;
    }
  }
}

const jobLine = ({ label, state, fraction, detail }: { label: string; state: string; fraction: number | null; detail: string }) =>
  `${chatText(label)}: ${state}${fraction === null || state !== "running" ? "" : ` ${Math.floor(fraction * 100)}%`}. ${chatText(detail)}\n`;
