/** Knows since when a native step has been running, so that the host can tell slow from stuck. */
export class StepClock {
  readonly #monotonic: () => number;
  #running = 0;
  #since = 0;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  now(): number {
    return this.#monotonic();
  }

  /** Milliseconds since anything native last began or showed progress; 0 when nothing runs. */
  stalledMs(): number {
    return this.#running === 0 ? 0 : this.#monotonic() - this.#since;
  }

  /** Whether nothing native runs. */
  get idle(): boolean {
    return this.#running === 0;
  }

  /** A long step showed that it moves. */
  progress(): void {
    this.#since = this.#monotonic();
  }

  /** Something native runs until this is disposed of, also between steps of it. */
  begin(): Disposable {
    this.#running++;
    this.#since = this.#monotonic();
    return {
      [Symbol.dispose]: () => {
        this.#running--;
        this.#since = this.#monotonic();
      },
    };
  }

  async step<T>(work: Promise<T>): Promise<T> {
    using _running = this.begin();
    return await work;
  }
}
