import type { SessionId } from "../src/lib/brand.ts";
import type { SessionEvent } from "../src/session/event.ts";
import type { SessionPort } from "../src/session/port.ts";
import { COMMANDS, parseSlash } from "./commands.ts";
import type { TuiDeps } from "./deps.ts";
import { chatText } from "./text/sanitise.ts";

export interface PlainDeps {
  readonly session: SessionPort;
  readonly explain: TuiDeps["explain"];
  readonly signal: AbortSignal;
  readonly write: (text: string) => void;
  /** Lines that the person enters, one by one; ends with the input. The terminal does its own line editing. */
  readonly lines: AsyncIterable<string>;
}

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
  #streaming = false;
  #reasoning = false;
  #listed: readonly SessionId[] = [];

  constructor(deps: PlainDeps) {
    this.#deps = deps;
    this.#stopListening = deps.session.subscribe((event) => this.#heard(event));
  }

  async run(): Promise<number> {
    const { write, signal } = this.#deps;
    write("Noctem. Enter sends a line; /help lists the commands; /quit or the end of input leaves.\n");
    const left = Promise.withResolvers<"leave">();
    signal.addEventListener("abort", () => left.resolve("leave"), { once: true });
    const lines = this.#deps.lines[Symbol.asyncIterator]();
    for (;;) {
      write("> ");
      const next = await Promise.race([lines.next(), left.promise]);
      if (next === "leave" || next.done === true) break;
      if (!(await this.#line(next.value))) break;
    }
    write("\n");
    return 0;
  }

  [Symbol.dispose](): void {
    this.#stopListening();
  }

  /** False ends the chat. */
  async #line(line: string): Promise<boolean> {
    const { session, write } = this.#deps;
    if (line.trim() === "") return true;
    const parsed = parseSlash(line);
    if (parsed.kind === "unknown")
      write(`There is no command /${parsed.name}.${parsed.near === null ? "" : ` Did you mean /${parsed.near}?`}\n`);
    else if (parsed.kind === "command") return await this.#command(parsed.name, parsed.argument);
    else {
      const text = line.startsWith("//") ? line.slice(1) : line;
      session.dispatch({ type: "prompt", spans: [{ kind: "typed", text }] });
      await session.settled();
    }
    return true;
  }

  async #command(name: string, argument: string): Promise<boolean> {
    const { session, write } = this.#deps;
    switch (name) {
      case "quit":
        return false;
      case "help":
        write(COMMANDS.map((command) => `/${command.name} ${command.takes}: ${command.describe}\n`).join(""));
        return true;
      case "new":
      case "private":
        session.dispatch({ type: "new-session", ephemeral: name === "private" });
        break;
      case "retry":
        session.dispatch({ type: "retry" });
        break;
      case "sessions":
        return this.#sessions(argument);
      case "models":
        session.dispatch({ type: "list-models" });
        break;
      case "model":
        session.dispatch({ type: "use-model", name: argument === "auto" || argument === "" ? null : argument });
        break;
      case "pull":
        session.dispatch({ type: "pull-model", name: argument });
        break;
      case "import":
        session.dispatch({ type: "import-model", path: argument });
        break;
      case "export":
        session.dispatch({ type: "export", path: argument });
        break;
      case "cancel":
        for (const job of session.view().jobs) session.dispatch({ type: "cancel-job", job: job.id });
        break;
      default:
        write(`/${name} needs the full screen.\n`);
    }
    await session.settled();
    return true;
  }

  /** Without a number it lists; with one it opens that conversation. */
  #sessions(argument: string): boolean {
    const { session, write } = this.#deps;
    const chosen = this.#listed[Number(argument) - 1];
    if (chosen) session.dispatch({ type: "open-session", session: chosen });
    else {
      session.dispatch({ type: "list-sessions" });
      const { sessions } = session.view();
      this.#listed = sessions.map((entry) => entry.id);
      write(sessions.map((entry, index) => `${index + 1}. ${chatText(entry.title)}\n`).join("") || "No conversations yet.\n");
      if (sessions.length > 0) write("/sessions NUMBER opens one.\n");
    }
    return true;
  }

  #heard(event: SessionEvent): void {
    const { write } = this.#deps;
    switch (event.type) {
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
        return write("(goes out when a model is ready)\n");
      case "notice":
        return write(`${event.severity}: ${chatText(event.text)}\n`);
      case "turn-trimmed":
        return write(`warning: the ${event.dropped} oldest messages were left out.\n`);
      case "job":
        if (event.job.state !== "running") write(`${chatText(event.job.label)}: ${event.job.state}. ${chatText(event.job.detail)}\n`);
        return;
      case "models-listed":
        return write(event.models.map((model) => `${chatText(model.name)}: ${model.state}, ${chatText(model.verdict)}\n`).join(""));
      case "model":
        if (event.tier !== "quick") return;
        if (event.state.kind === "ready") write(`(model: ${chatText(event.state.name)})\n`);
        if (event.state.kind === "none") write(`(no model. ${chatText(event.state.hint)})\n`);
        return;
      default:
        return;
    }
  }
}
