/**
 * Notices a model that says the same thing again and again. A loop is a unit of at least `MIN_UNIT` characters, itself no repetition of something
 * shorter, that has come `TIMES` times in a row.
 *
 * What looks repetitive in honest text must not trip it, so the text is looked at with its ornaments folded: a run of one character that is neither
 * letter nor digit counts once. The rows of an empty table, rules of dashes and deep indentation are then far shorter than a unit. A unit also needs
 * some letters or digits.
 */
export const MIN_UNIT = 32;
export const TIMES = 4;
/** Longest unit that is noticed, in folded characters. The work for each character grows with it: about 2 µs. */
export const MAX_UNIT = 2048;
const MIN_WORD_CHARACTERS = 8;

export class LoopGuard {
  /** Folded text, the last `WINDOW` characters, and for each where it ends in the text as streamed. Rings. */
  readonly #folded = new Uint16Array(WINDOW);
  readonly #ends = new Float64Array(WINDOW);
  /** How many letters and digits stand before each; a difference counts those in between. */
  readonly #words = new Float64Array(WINDOW);
  /** For each distance: how many of the last characters equal the one that far before. */
  readonly #runs = new Int32Array(MAX_UNIT + 1);
  #length = 0;
  #streamed = 0;
  #wordCount = 0;
  #last = -1;

  /** Takes the next piece of text. Returns how many UTF-16 units at its end are repetitions to be folded away, or 0. */
  push(text: string): number {
    let repeated = 0;
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      this.#streamed++;
      const word = isWord(unit);
      if (unit === this.#last && !word) {
        // Folded into the one before, which now ends here.
        this.#ends[(this.#length - 1) % WINDOW] = this.#streamed;
        continue;
      }
      this.#last = unit;
      const period = this.#append(unit, word);
      repeated = period === 0 ? 0 : this.#streamed - this.#endOf(this.#length - 1 - (TIMES - 1) * period);
      // The guard is done: a caller stops here, and the rest of this piece belongs to the loop as well.
      if (repeated > 0) return repeated + text.length - index - 1;
    }
    return repeated;
  }

  /** Returns the length of the unit that has just come for the fourth time, or 0. */
  #append(unit: number, word: boolean): number {
    const at = this.#length++;
    const folded = this.#folded;
    const runs = this.#runs;
    folded[at % WINDOW] = unit;
    this.#ends[at % WINDOW] = this.#streamed;
    if (word) this.#wordCount++;
    this.#words[at % WINDOW] = this.#wordCount;
    let found = 0;
    const longest = Math.min(MAX_UNIT, at);
    for (let distance = 1; distance <= longest; distance++) {
      if (folded[(at - distance) % WINDOW] === unit) {
        const run = (runs[distance] ?? 0) + 1;
        runs[distance] = run;
        if (found === 0 && distance >= MIN_UNIT && run >= (TIMES - 1) * distance) found = distance;
      } else runs[distance] = 0;
    }
    return found > 0 && this.#isPrimitive(found) && this.#hasWords(found) ? found : 0;
  }

  /** Whether the unit is no repetition of a shorter one: then the text would also repeat at that distance. */
  #isPrimitive(length: number): boolean {
    for (let shorter = 1; shorter <= length / 2; shorter++)
      if (length % shorter === 0 && (this.#runs[shorter] ?? 0) >= length - shorter) return false;
    return true;
  }

  #hasWords(length: number): boolean {
    const last = this.#length - 1;
    return (this.#words[last % WINDOW] ?? 0) - (this.#words[(last - length) % WINDOW] ?? 0) >= MIN_WORD_CHARACTERS;
  }

  #endOf(index: number): number {
    return index < 0 ? 0 : (this.#ends[index % WINDOW] ?? 0);
  }
}

/** A power of two that holds four units of the longest kind. */
const WINDOW = 16_384;

/** Letters and digits; everything beyond ASCII counts as one, because scripts without spaces have no ornaments to fold. */
function isWord(unit: number): boolean {
  return (
    (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a) || (unit >= 0xc0 && !isRule(unit))
  );
}

/** Dashes, box drawing, block elements, ideographic space: what rules and tables are made of outside ASCII. */
const isRule = (unit: number): boolean => (unit >= 0x2010 && unit <= 0x2015) || (unit >= 0x2500 && unit <= 0x25ff) || unit === 0x3000;
