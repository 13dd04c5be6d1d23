/** A part of the transcript that is rendered as a whole: a message, a notice. */
export interface Segment {
  readonly id: string;
  readonly rows: () => readonly string[];
  /** `rows().length`, without rendering where it is known. */
  readonly height: () => number;
}

/**
 * A place in the transcript: a row of a segment. Not a row of the whole, because those are counted from segments that nobody
 * has rendered yet, and another width counts them anew.
 */
export interface Anchor {
  readonly id: string;
  readonly offset: number;
}

/** How long the transcript was: finished segments, and rows of what is still being written. */
export interface Extent {
  readonly segments: number;
  readonly tail: number;
}

/** A match of `/find`: where it begins. */
export type Match = Anchor;

export interface TranscriptLayout {
  readonly empty: boolean;
  readonly extent: Extent;
  /** The `room` rows from `top` on, or the last ones (`null`, or a `top` too near the end). */
  window(top: Anchor | null, room: number): Window;
  /** Moves the top by so many rows; null once the end is in sight. */
  scroll(top: Anchor | null, by: number, room: number): Anchor | null;
  /** Rows added since. */
  grownSince(then: Extent): number;
  /** Every place where `needle` begins, whatever its case, oldest first; also across the ends of rows. */
  matches(needle: string): readonly Match[];
}

export interface Window {
  readonly rows: readonly string[];
  /** Null at the end. */
  readonly top: Anchor | null;
  /** Which place each row is. */
  readonly places: readonly Anchor[];
  readonly below: number;
}

const TAIL = "tail";

export function layoutOf(settled: readonly Segment[], tail: readonly string[]): TranscriptLayout {
  const segments = tail.length > 0 ? [...settled, { id: TAIL, rows: () => tail, height: () => tail.length }] : settled;
  const heightAt = (index: number) => segments[index]?.height() ?? 0;
  const extent = { segments: settled.length, tail: tail.length };

  /** Where the last `room` rows begin. */
  const endTop = (room: number): { readonly index: number; readonly offset: number } => {
    let missing = room;
    for (let index = segments.length - 1; index >= 0; index--) {
      missing -= heightAt(index);
      if (missing <= 0) return { index, offset: -missing };
    }
    return { index: 0, offset: 0 };
  };

  const placeOf = (top: Anchor | null, room: number) => {
    const end = endTop(room);
    // What was written when the person looked there is a message now: the last one.
    const found = top === null ? -1 : segments.findIndex((segment) => segment.id === top.id);
    const index = found < 0 && top?.id === TAIL ? segments.length - 1 : found;
    if (top === null || index < 0) return { ...end, atEnd: true };
    const offset = Math.min(top.offset, Math.max(0, heightAt(index) - 1));
    return index > end.index || (index === end.index && offset >= end.offset) ? { ...end, atEnd: true } : { index, offset, atEnd: false };
  };

  return {
    empty: segments.length === 0,
    extent,
    window(top, room) {
      const { index: first, offset, atEnd } = placeOf(top, room);
      const rows: string[] = [];
      const places: Anchor[] = [];
      let index = first;
      let from = offset;
      for (; index < segments.length && rows.length < room; index++, from = 0) {
        const segment = segments[index];
        if (!segment) break;
        const taken = segment.rows().slice(from, from + room - rows.length);
        for (let row = 0; row < taken.length; row++) places.push({ id: segment.id, offset: from + row });
        rows.push(...taken);
      }
      let below = 0;
      if (!atEnd) {
        for (let at = first; at < segments.length; at++) below += heightAt(at);
        below -= offset + rows.length;
      }
      return { rows, places, top: atEnd ? null : { id: segments[first]?.id ?? TAIL, offset }, below };
    },
    scroll(top, by, room) {
      let { index, offset } = placeOf(top, room);
      offset += by;
      while (offset < 0 && index > 0) offset += heightAt(--index);
      while (index < segments.length - 1 && offset >= heightAt(index)) offset -= heightAt(index++);
      return placeOf({ id: segments[index]?.id ?? TAIL, offset: Math.max(0, offset) }, room).atEnd
        ? null
        : { id: segments[index]?.id ?? TAIL, offset: Math.max(0, offset) };
    },
    grownSince(then) {
      let rows = tail.length - then.tail;
      for (let index = then.segments; index < settled.length; index++) rows += heightAt(index);
      return Math.max(0, rows);
    },
    matches(needle) {
      const wanted = needle.toLowerCase();
      return wanted === "" ? [] : segments.flatMap((segment) => matchesIn(segment, wanted));
    },
  };
}

/** What stands before the words of a row: bars, the speaker, code bars, indentation. */
const MARGIN = /^(?: you {2}| ┊ (?:│ )?)?\s*/u;

function matchesIn(segment: Segment, wanted: string): Match[] {
  let text = "";
  const starts: number[] = [];
  for (const row of segment.rows()) {
    starts.push(text.length);
    text += `${Bun.stripANSI(row).replace(MARGIN, "").trimEnd().toLowerCase()} `;
  }
  const found: Match[] = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
    const offset = starts.findLastIndex((start) => start <= at);
    if (found.at(-1)?.offset !== offset) found.push({ id: segment.id, offset });
  }
  return found;
}

/** A row with every occurrence of `needle` in it set off. */
export function highlightRow(row: string, needle: string, mark: (text: string) => string): string {
  const plain = Bun.stripANSI(row);
  const lower = plain.toLowerCase();
  const wanted = needle.toLowerCase();
  // A change of case may change the length (İ); then columns would not be the same.
  if (wanted === "" || lower.length !== plain.length || !lower.includes(wanted)) return row;
  let out = "";
  let column = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + wanted.length)) {
    const from = Bun.stringWidth(plain.slice(0, at));
    const to = from + Bun.stringWidth(plain.slice(at, at + wanted.length));
    out += Bun.sliceAnsi(row, column, from) + mark(plain.slice(at, at + wanted.length));
    column = to;
  }
  return out + Bun.sliceAnsi(row, column, Number.MAX_SAFE_INTEGER);
}
