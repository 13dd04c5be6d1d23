interface Drawn {
  readonly rows: readonly string[];
  readonly cursor: { readonly x: number; readonly y: number } | null;
}

/** A key changes the draft and perhaps the status. More rows than this are a new view, and Ink's. */
const MOST_ROWS = 6;

/**
 * The echo of a key, written before Ink gets to it: Ink needs 6 to 9 ms for a frame, and a person feels the key, not the frame. Ink then writes the
 * same rows again.
 *
 * Ink compares with what it wrote itself. So a row that was painted here and is another again before Ink's next write has to be painted here too, whoever
 * asks for that frame; Ink would find it unchanged and leave the older one on the screen.
 */
export class EchoAhead {
  /** By row, since Ink last wrote. */
  readonly #ahead = new Map<number, string>();
  #frame: Drawn = { rows: [], cursor: null };
  /** Where Ink left the terminal's cursor, from where it counts; null when it does not show one. */
  #inkCursor: Drawn["cursor"] = null;

  /** Sequences that put the changed rows on the screen and leave the cursor where Ink believes it; empty when Ink shall do it alone. */
  paint(frame: Drawn, urgent: boolean): string {
    const before = this.#frame.rows;
    const { rows } = frame;
    this.#frame = frame;
    if (this.#inkCursor === null) return "";
    const sameShape = rows.length === before.length;
    if (!sameShape) this.#ahead.clear();
    const changed = sameShape && urgent ? indices(rows).filter((index) => rows[index] !== before[index]) : [];
    const wanted = new Set(changed.length <= MOST_ROWS ? changed : []);
    for (const [index, text] of this.#ahead) if (rows[index] !== text) wanted.add(index);
    if (wanted.size === 0) return "";
    let text = "";
    for (const index of wanted) {
      const row = rows[index] ?? "";
      this.#ahead.set(index, row);
      // Blanks at the end are no text to whoever marks the screen with a mouse; Ink cuts them too.
      text += `\u001b[${index + 1};1H\u001b[0m${row.trimEnd()}\u001b[0m\u001b[K`;
    }
    const { x, y } = this.#inkCursor;
    // In one piece where the terminal knows how. Saving the cursor (DECSC) was rejected: some terminals have one place for it, and leaving the screen needs that.
    return `\u001b[?2026h${text}\u001b[${y + 1};${x + 1}H\u001b[?2026l`;
  }

  /** Ink has written the newest frame: from here on it compares with that. */
  inkWrote(): void {
    this.#ahead.clear();
    this.#inkCursor = this.#frame.cursor;
  }
}

const indices = (rows: readonly string[]): readonly number[] => rows.map((_, index) => index);
