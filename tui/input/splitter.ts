/** What a person did, one event a key, however the terminal chopped the bytes. */
export type InputEvent =
  /** `raw` is the key as the terminal sent it. `alone`: it came in a read of its own, so a person can have pressed it. */
  | { readonly kind: "key"; readonly raw: string; readonly alone: boolean }
  /** Pasted text: `bracketed` by the terminal, or too much at once to have been typed. */
  | { readonly kind: "paste"; readonly text: string; readonly bracketed: boolean }
  /** The wheel, which terminals send as a burst of equal arrows while no mouse mode is on. Rows; negative is up. */
  | { readonly kind: "wheel"; readonly rows: number };

/* oxlint-disable no-control-regex -- control sequences are what this is about */
const PASTE_START = "\u001b[200~";
const PASTE_END = "\u001b[201~";
/** Replies to queries: OSC, DCS, PM, APC. Noctem asks nothing, but what ran before it may have. */
const REPLY = /^\u001b(?:\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[P_^][^\u001b]*\u001b\\)/u;
const UNFINISHED_REPLY = /^\u001b[\]P_^][^\u0007\u001b]*$/u;
/** Cursor and device reports, focus, mouse. */
const REPORT = /^\u001b\[(?:\?[\d;]*c|\d+;\d+R|[IO]|<[\d;]*[Mm])/u;
const SEQUENCE = /^\u001b{1,2}(?:\[[\u0030-\u003f]*[\u0020-\u002f]*[\u0040-\u007e]|O[0-9;]*[\u0040-\u007e])/u;
const UNFINISHED_SEQUENCE = /^\u001b{1,2}(?:\[[\u0030-\u003f]*[\u0020-\u002f]*|O[0-9;]*)?$/u;
/**
 * What may belong to an Escape that came in a read of its own: the rest of a sequence, or of Alt-Enter and Alt-Backspace.
 * Terminals send Alt and a letter in one piece; in two it was Escape and then a letter, typed fast or by a program.
 */
const AFTER_ESCAPE = /^[\u001b[O\]P_^\r\u007f]/u;
const CONTROL = /[\u0000-\u001f\u007f]/u;
const WHEEL = /^(?:(?:\u001b\[A|\u001bOA){3,}|(?:\u001b\[B|\u001bOB){3,})$/u;
/* oxlint-enable no-control-regex */

/** More text than this in one read is a paste, whatever the terminal says: a Linux console has no brackets. */
const MOST_TYPED_AT_ONCE = 16;
const MAX_PASTE = 1 << 20;
const CTRL_C = "\u0003";

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * Splits reads into events. After each `feed` with `pending`, call `flush` once the terminal has been quiet for
 * `patience` milliseconds: an Escape alone cannot be told from the start of a sequence otherwise, and a paste whose end
 * never comes must not swallow the keyboard.
 */
export class InputSplitter {
  #buffer = "";
  #pasting = false;
  /** An unmarked paste is being read: it comes in as many reads as the terminal likes, the last of them perhaps short. */
  #bursting = false;

  get pending(): boolean {
    return this.#buffer !== "" || this.#pasting;
  }

  get patience(): number {
    return this.#pasting ? 2000 : 30;
  }

  feed(read: string): InputEvent[] {
    if (this.#buffer === "\u001b" && !AFTER_ESCAPE.test(read)) return [...this.flush(), ...this.feed(read)];
    if (!this.pending && WHEEL.test(read)) return [wheel(read)];
    if (this.#bursting || (!this.pending && read.length > MOST_TYPED_AT_ONCE)) {
      if (isText(read)) {
        this.#bursting = true;
        this.#buffer += read;
        return this.#buffer.length > MAX_PASTE ? this.flush() : [];
      }
      if (this.#bursting) return [...this.flush(), ...this.feed(read)];
    }
    const alone = !this.pending && isOneKey(read);
    this.#buffer += read;
    const events: InputEvent[] = [];
    while (this.#buffer !== "") {
      const event = this.#next(alone);
      if (event === "more") break;
      if (event) events.push(event);
    }
    return events;
  }

  /** What is left must mean what it says. */
  flush(): InputEvent[] {
    if (this.#pasting) return [this.#endPaste(this.#buffer)];
    const raw = this.#buffer;
    this.#buffer = "";
    if (this.#bursting) {
      this.#bursting = false;
      return burst(raw);
    }
    return raw === "" ? [] : [{ kind: "key", raw, alone: true }];
  }

  #next(alone: boolean): InputEvent | "more" | null {
    const buffer = this.#buffer;
    if (this.#pasting || buffer.startsWith(PASTE_START)) return this.#paste();
    const dropped = REPLY.exec(buffer)?.[0] ?? REPORT.exec(buffer)?.[0];
    if (dropped !== undefined) return this.#take(dropped.length, null);
    if (UNFINISHED_REPLY.test(buffer) && buffer.length > 2 && buffer.length < 4096) return "more";
    const sequence = SEQUENCE.exec(buffer)?.[0];
    if (sequence !== undefined) return this.#take(sequence.length, { kind: "key", raw: sequence, alone });
    if (UNFINISHED_SEQUENCE.test(buffer)) return "more";
    if (buffer.startsWith("\u001b")) {
      const raw = `\u001b${firstGrapheme(buffer.slice(1))}`;
      return this.#take(raw.length, { kind: "key", raw, alone });
    }
    const raw = CONTROL.test(buffer.charAt(0)) ? buffer.charAt(0) : firstGrapheme(buffer);
    return this.#take(raw.length, { kind: "key", raw, alone });
  }

  #take(length: number, event: InputEvent | null): InputEvent | null {
    this.#buffer = this.#buffer.slice(length);
    return event;
  }

  /**
   * Whatever follows an end marker in the same read belongs to the paste too: text that brings its own marker gains nothing.
   * Ctrl-C inside an unfinished paste ends it.
   */
  #paste(): InputEvent | "more" {
    this.#pasting = true;
    if (this.#buffer.includes(PASTE_END)) return this.#endPaste(this.#buffer);
    if (this.#buffer.includes(CTRL_C) || this.#buffer.length > MAX_PASTE) return this.#endPaste(this.#buffer);
    return "more";
  }

  #endPaste(text: string): InputEvent {
    this.#pasting = false;
    this.#buffer = "";
    return { kind: "paste", text: normalise(text.replaceAll(PASTE_START, "").replaceAll(PASTE_END, "")), bracketed: true };
  }
}

const isText = (read: string) => !read.includes("\u001b") && !read.includes(CTRL_C);

/**
 * One line with Enter behind it is what programs that drive a terminal send, and what a slow link makes of quick typing: the
 * line stays data, the Enter counts. More lines are a paste as a whole, which must not send itself.
 */
function burst(read: string): InputEvent[] {
  const line = /^([^\r\n]+)\r$/u.exec(read)?.[1];
  if (line === undefined) return [{ kind: "paste", text: normalise(read), bracketed: false }];
  return [
    { kind: "paste", text: normalise(line), bracketed: false },
    { kind: "key", raw: "\r", alone: false },
  ];
}

/** One key press sends one character or one sequence. */
function isOneKey(read: string): boolean {
  return SEQUENCE.exec(read)?.[0] === read || firstGrapheme(read) === read || (read.length === 2 && read.startsWith("\u001b"));
}

function firstGrapheme(text: string): string {
  const head = text.slice(0, 64).split(CONTROL, 1)[0] ?? "";
  for (const { segment } of graphemes.segment(head)) return segment;
  return text.charAt(0);
}

function wheel(read: string): InputEvent {
  const notches = read.length / 3;
  return { kind: "wheel", rows: read.endsWith("A") ? -notches : notches };
}

// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const DROPPED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/gu;

/** Line ends become newlines; other control characters go, whatever they were meant to do. */
const normalise = (text: string): string => text.replaceAll(/\r\n?/gu, "\n").replaceAll(DROPPED, "").toWellFormed();
