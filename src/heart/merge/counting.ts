/** How many rows, and the sum of their numbers. */
export interface Count {
  readonly rows: number;
  readonly total: number;
}

/**
 * Counts rows by their streams and finds out whether one is there twice: sums alone could be made up for by a row that stands in for another. In numbers and
 * not in SQL, which has to sort all rows of a table for each of the two questions; eight bytes a row, for one table at a time.
 */
export class RowCounter {
  readonly #streams = new Map<number, Numbers>();
  #actor = 0;
  #numbers: Numbers | null = null;

  add(actor: number, seq: number): void {
    if (this.#numbers === null || this.#actor !== actor) {
      this.#numbers = this.#streams.get(actor) ?? new Numbers();
      this.#streams.set(actor, this.#numbers);
      this.#actor = actor;
    }
    this.#numbers.add(seq);
  }

  get counts(): ReadonlyMap<number, Count> {
    return this.#streams;
  }

  get hasTwins(): boolean {
    return [...this.#streams.values()].some((numbers) => numbers.hasTwins());
  }
}

class Numbers implements Count {
  rows = 0;
  total = 0;
  #seqs = new Float64Array(64);
  #ascending = true;

  add(seq: number): void {
    if (this.rows === this.#seqs.length) {
      const larger = new Float64Array(this.rows * 2);
      larger.set(this.#seqs);
      this.#seqs = larger;
    }
    this.#ascending &&= this.rows === 0 || seq > (this.#seqs[this.rows - 1] ?? 0);
    this.#seqs[this.rows++] = seq;
    this.total += seq;
  }

  hasTwins(): boolean {
    if (this.#ascending) return false;
    const sorted = this.#seqs.subarray(0, this.rows).sort();
    return sorted.some((seq, i) => i > 0 && seq === sorted[i - 1]);
  }
}
