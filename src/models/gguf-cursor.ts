/** At most `length` bytes at `offset`; fewer at the end. A failed read throws `Unreadable`. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

/** One line of what is wrong. It never leaves the reader: `readGguf` turns it into a value. */
export class Unreadable extends Error {}

/** Bytes at a time. A vocabulary of 150,000 tokens makes a header of 6 MB. */
const WINDOW = 1 << 20;
/** Bytes. No header comes near it; a lie about the length of an array ends here. */
const MAX_HEADER = 256 << 20;
/** Bytes kept of a text that nobody asked for. */
const MAX_TEXT = 512;

/** Walks over a header from its start. Every number is checked against the end of the file before anything is read or kept. */
export class GgufCursor {
  readonly #read: ReadAt;
  readonly #end: number;
  #window: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#window.buffer);
  #start = 0;
  at = 0;

  constructor(read: ReadAt, size: number) {
    this.#read = read;
    this.#end = size;
  }

  async u32(): Promise<number> {
    const at = await this.#take(4);
    return this.#view.getUint32(at, true);
  }

  async u64(): Promise<number> {
    const at = await this.#take(8);
    const value = this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
    if (!Number.isSafeInteger(value))
      throw new Unreadable(`it holds the number ${this.#view.getBigUint64(at, true)} where a length should be`);
    return value;
  }

  /** A string that has to fit into `limit` bytes. */
  async string(limit: number): Promise<string> {
    const length = await this.u64();
    if (length > limit) throw new Unreadable(`it claims a name or text of ${length} bytes`);
    const at = await this.#take(length);
    return new TextDecoder().decode(this.#window.subarray(at, at + length));
  }

  /** A string of any length; only its beginning is kept. */
  async text(): Promise<string> {
    const length = await this.u64();
    const kept = Math.min(length, MAX_TEXT);
    this.#checkEnd(length);
    const at = await this.#take(kept);
    const text = new TextDecoder().decode(this.#window.subarray(at, at + kept));
    this.at += length - kept;
    return text;
  }

  async scalar(type: number): Promise<number | boolean> {
    const size = SCALARS[type];
    if (size === undefined) throw new Unreadable(`it holds a value of the unknown type ${type}`);
    const at = await this.#take(size);
    switch (type) {
      case 0:
        return this.#view.getUint8(at);
      case 1:
        return this.#view.getInt8(at);
      case 2:
        return this.#view.getUint16(at, true);
      case 3:
        return this.#view.getInt16(at, true);
      case 4:
        return this.#view.getUint32(at, true);
      case 5:
        return this.#view.getInt32(at, true);
      case 6:
        return this.#view.getFloat32(at, true);
      case 7:
        return this.#view.getUint8(at) !== 0;
      case 10:
        return Number(this.#view.getBigUint64(at, true));
      case 11:
        return Number(this.#view.getBigInt64(at, true));
      default:
        return this.#view.getFloat64(at, true);
    }
  }

  /** Walks over an array; its numbers when there are at most `keep` of them. */
  async array(type: number, length: number, keep: number): Promise<readonly number[] | null> {
    if (type === 8) {
      this.#checkEnd(length * 8);
      for (let index = 0; index < length; index++) {
        const slow = this.#skipString();
        if (slow) await slow;
      }
      return null;
    }
    const size = SCALARS[type];
    if (size === undefined) throw new Unreadable(`it holds an array of the unknown type ${type}`);
    this.#checkEnd(length * size);
    if (length > keep) {
      this.at += length * size;
      return null;
    }
    const numbers: number[] = [];
    for (let index = 0; index < length; index++) numbers.push(Number(await this.scalar(type)));
    return numbers;
  }

  /** The only thing done hundreds of thousands of times: no promise where the bytes are there already. */
  #skipString(): Promise<void> | null {
    const at = this.at - this.#start;
    if (at + 8 > this.#window.length) return this.#skipStringSlowly();
    const length = this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
    this.at += 8;
    this.#checkEnd(length);
    this.at += length;
    return null;
  }

  async #skipStringSlowly(): Promise<void> {
    const length = await this.u64();
    this.#checkEnd(length);
    this.at += length;
  }

  #checkEnd(length: number): void {
    const end = this.at + length;
    if (!(end <= this.#end)) throw new Unreadable(`its header is cut off: it reaches to byte ${end} and the file has ${this.#end}`);
    if (end > MAX_HEADER) throw new Unreadable(`its header claims more than ${MAX_HEADER >> 20} MiB`);
  }

  /** Where the next `length` bytes stand in the window. */
  async #take(length: number): Promise<number> {
    this.#checkEnd(length);
    const at = this.at;
    if (at < this.#start || at + length > this.#start + this.#window.length) {
      const wanted = Math.min(Math.max(length, WINDOW), this.#end - at);
      const window = await this.#read(at, wanted);
      if (window.length < length) throw new Unreadable(`it ends at byte ${at + window.length} while it is read`);
      this.#window = window;
      this.#view = new DataView(window.buffer, window.byteOffset, window.byteLength);
      this.#start = at;
    }
    this.at = at + length;
    return at - this.#start;
  }
}

/** Bytes of each scalar type. */
const SCALARS: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
