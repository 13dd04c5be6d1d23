/** A place in a text, both counted from 1; columns in UTF-16 units. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/**
 * Where `text` stops being JSON (RFC 8259), or null when it is JSON. The engine's own parser says what it met but not
 * where, and a person with a settings file of forty lines wants the line.
 */
export function jsonErrorPlace(text: string): TextPlace | null {
  const offset = new Scanner(text).firstError();
  return offset === null ? null : placeOf(text, offset);
}

function placeOf(text: string, offset: number): TextPlace {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

const SPACE = /[ \t\n\r]*/uy;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy; // oxlint-disable-line no-control-regex -- JSON forbids them in strings
const LITERAL = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])/uy;
/** Far deeper than any settings; keeps hostile text from exhausting the stack. */
const MAX_DEPTH = 500;

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  firstError(): number | null {
    if (!this.#value(0)) return this.#at;
    this.#skip(SPACE);
    return this.#at === this.#text.length ? null : this.#at;
  }

  #value(depth: number): boolean {
    this.#skip(SPACE);
    switch (this.#text[this.#at]) {
      case "{":
        return depth < MAX_DEPTH && this.#list("}", () => this.#member(depth + 1));
      case "[":
        return depth < MAX_DEPTH && this.#list("]", () => this.#value(depth + 1));
      case '"':
        return this.#skip(STRING);
      case undefined:
        return false;
      default:
        return this.#skip(LITERAL);
    }
  }

  #member(depth: number): boolean {
    this.#skip(SPACE);
    if (!this.#skip(STRING)) return false;
    this.#skip(SPACE);
    return this.#take(":") && this.#value(depth);
  }

  #list(end: string, item: () => boolean): boolean {
    this.#at++;
    this.#skip(SPACE);
    if (this.#take(end)) return true;
    for (;;) {
      if (!item()) return false;
      this.#skip(SPACE);
      if (this.#take(end)) return true;
      if (!this.#take(",")) return false;
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (!found) return false;
    this.#at += found[0].length;
    return true;
  }
}
