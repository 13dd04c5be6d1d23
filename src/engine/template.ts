/**
 * A model's chat template, rendered so that it is always known which characters are the template's and which a person's.
 *
 * Each message's text goes through the template as a marker, and the rendered text is cut at the markers. Template text is then tokenised with
 * special tokens and message text without: a person who types `<|im_end|>` has typed nine characters and ended no turn. Rendering the text itself and
 * tokenising the whole, as most programs do, cannot tell the two apart.
 */
import { Template } from "@huggingface/jinja";
import type { ChatMessage } from "./port.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Role } from "../lib/message.ts";

export type PromptPiece =
  /** Tokenise with special tokens. */
  | { readonly kind: "template"; readonly text: string }
  /** Tokenise as plain text. `message` is an index into the messages that were given. */
  | { readonly kind: "content"; readonly text: string; readonly message: number };

export interface ChatTemplate {
  /** The prompt up to where the assistant's words begin. The error is one line: what the template objected to. */
  render(messages: readonly ChatMessage[]): Result<readonly PromptPiece[], string>;
  /** What the template writes after an assistant's words: its beginning ends the turn even if the file forgot to declare that token. */
  readonly turnEnd: string;
}

export interface SpecialTexts {
  readonly bos: string;
  readonly eos: string;
}

/** The error is one line that names what is wrong. A template that cannot render a plain conversation is refused here, not at the first message. */
export function compileTemplate(source: string, specials: SpecialTexts): Result<ChatTemplate, string> {
  try {
    const compiled = new CompiledTemplate(new Template(source), specials);
    return ok(compiled);
  } catch (error) {
    return err(oneLine(error));
  }
}

/** A base model continues the text of a conversation as it stands. */
export const continuation: ChatTemplate = {
  turnEnd: "",
  render: (messages) =>
    ok(
      messages.flatMap(({ text }, message): PromptPiece[] => {
        const content: PromptPiece = { kind: "content", text, message };
        return message === 0 ? [content] : [{ kind: "template", text: "\n\n" }, content];
      }),
    ),
};

interface Turn {
  readonly role: Role;
  /** Indexes of the messages whose texts this turn holds, joined by a blank line. */
  readonly from: readonly number[];
}

class CompiledTemplate implements ChatTemplate {
  readonly turnEnd: string;
  readonly #template: Template;
  readonly #specials: SpecialTexts;
  /** Whether the template trims what it is given, by role: markers have no white space to trim, so it is done here. */
  readonly #trims: Readonly<Record<Role, boolean>>;
  readonly #systemSupported: boolean;
  /** The template speaks for itself when no system message is given ("You are X, made by Y"). */
  readonly #hasOwnSystem: boolean;

  constructor(template: Template, specials: SpecialTexts) {
    this.#template = template;
    this.#specials = specials;
    const user = this.#raw(["user"]);
    if (!user.includes(marker(0))) throw new Error("the template leaves out what the user says");
    const conversation = this.#raw(["user", "assistant", "user"]);
    if (![0, 1, 2].every((index) => conversation.includes(marker(index))))
      throw new Error("the template leaves out part of a conversation");
    this.turnEnd = between(conversation, marker(1), marker(2));
    const withSystem = attempt(() => this.#raw(["system", "user"]));
    this.#systemSupported = withSystem?.includes(marker(0)) === true && withSystem.includes(marker(1));
    this.#hasOwnSystem = this.#systemSupported && withSystem !== undefined && ownSystem(user, withSystem);
    this.#trims = {
      system: this.#systemSupported && this.#trimsRole(["system", "user"], 0),
      user: this.#trimsRole(["user"], 0),
      assistant: this.#trimsRole(["user", "assistant", "user"], 1),
    };
  }

  render(messages: readonly ChatMessage[]): Result<readonly PromptPiece[], string> {
    const turns: Turn[] = messages.map(({ role }, index) => ({ role, from: [index] }));
    const withoutSystem = this.#systemSupported ? turns : foldSystem(turns);
    let failure = "there is nothing to say";
    // Most templates take any order of roles. Some insist that user and assistant alternate, which a conversation with a failed turn does not.
    for (const shape of [withoutSystem, foldNeighbours(withoutSystem)]) {
      try {
        return ok(this.#pieces(shape, messages));
      } catch (error) {
        failure = oneLine(error);
      }
    }
    return err(failure);
  }

  #pieces(turns: readonly Turn[], messages: readonly ChatMessage[]): PromptPiece[] {
    const pieces: PromptPiece[] = [];
    const rendered = this.#withoutOwnSystem(turns.map(({ role }) => role));
    const seen = new Set<number>();
    for (const [index, part] of rendered.split(MARKERS).entries()) {
      if (index % 2 === 0) {
        if (part !== "") pieces.push({ kind: "template", text: part });
        continue;
      }
      const turn = turns[Number(part)];
      if (!turn) throw new Error("the template writes text that looks like Noctem's own marks");
      seen.add(Number(part));
      for (const [place, message] of turn.from.entries()) {
        const text = messages[message]?.text ?? "";
        if (place > 0) pieces.push({ kind: "content", text: "\n\n", message });
        pieces.push({ kind: "content", text: this.#trims[turn.role] ? text.trim() : text, message });
      }
    }
    if (seen.size < turns.length) throw new Error("the template leaves out part of the conversation");
    return pieces;
  }

  /**
   * No system message means none. A template's own ("You are SmolLM, trained by …") is neither Noctem's word nor the person's, and it makes the starter
   * model worse: asked for the capital of France it answers in invented French with it, and "Paris" without. So a system message is rendered and cut off
   * again together with everything around it.
   */
  #withoutOwnSystem(roles: readonly Role[]): string {
    if (!this.#hasOwnSystem || roles[0] === "system") return this.#raw(roles);
    const whole = this.#raw(["system", ...roles], -1);
    const alone = attempt(() => this.#raw(["system"], -1, false));
    if (alone === undefined || !whole.startsWith(alone)) return this.#raw(roles);
    const bos = this.#specials.bos;
    const rest = whole.slice(alone.length);
    return bos !== "" && alone.startsWith(bos) && !rest.startsWith(bos) ? bos + rest : rest;
  }

  #raw(roles: readonly Role[], firstIndex = 0, openAnswer = true, wrap: (mark: string) => string = (mark) => mark): string {
    return this.#template.render({
      messages: roles.map((role, index) => ({ role, content: wrap(marker(index + firstIndex)) })),
      add_generation_prompt: openAnswer,
      bos_token: this.#specials.bos,
      eos_token: this.#specials.eos,
    });
  }

  #trimsRole(roles: readonly Role[], at: number): boolean {
    const rendered = attempt(() => this.#raw(roles, 0, true, (mark) => ` ${mark} `));
    return rendered !== undefined && !rendered.includes(` ${marker(at)} `);
  }
}

/**
 * Whether the prompt without a system message contains a system turn all the same, with words that the one with a system message lacks. A block that
 * stands there either way (the date, in some templates) is not the template speaking for itself.
 */
function ownSystem(user: string, withSystem: string): boolean {
  const opening = withSystem.slice(0, withSystem.indexOf(marker(0)));
  const closing = between(withSystem, marker(0), marker(1));
  const before = user.slice(0, user.indexOf(marker(0)));
  return opening !== "" && before.startsWith(opening) && before.endsWith(closing) && before.length > opening.length + closing.length;
}

/** For templates without a system role: its text goes before the first user's. */
function foldSystem(turns: readonly Turn[]): readonly Turn[] {
  const [system, ...rest] = turns;
  if (system?.role !== "system") return turns;
  const [next, ...others] = rest;
  return next?.role === "user"
    ? [{ role: "user", from: [...system.from, ...next.from] }, ...others]
    : [{ ...system, role: "user" }, ...rest];
}

function foldNeighbours(turns: readonly Turn[]): readonly Turn[] {
  const folded: Turn[] = [];
  for (const turn of turns) {
    const last = folded.at(-1);
    if (last?.role === turn.role) folded[folded.length - 1] = { role: turn.role, from: [...last.from, ...turn.from] };
    else folded.push(turn);
  }
  return folded;
}

/** Letters and digits alone, so that no filter changes it; -1 is the message that is cut off again. */
const marker = (index: number): string => `Noctem7Mark${index < 0 ? "Own" : index}Krat9`;
const MARKERS = /Noctem7Mark(\d+)Krat9/;

function between(text: string, left: string, right: string): string {
  const from = text.indexOf(left) + left.length;
  return text.slice(from, text.indexOf(right, from));
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

const oneLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ").slice(0, 300);
