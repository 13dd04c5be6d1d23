/** Listeners that an attack may not reach, and that cannot miss one that did. */

/** Milliseconds that a listener may take to see us. One that takes longer was filled up, or its file was taken away: by the attack. */
const SEEN = 5_000;

type Address = { readonly hostname: string; readonly port: number } | { readonly unix: string };

/** Connections of our own that a listener has not heard yet, by the word that each says. */
export type Knocks = Map<string, () => void>;

/**
 * Connects, says a word, and waits until the listener has heard it, which it tells by what stands in `knocks`. Who connects knows it before the listener does, and is
 * perhaps gone by then; but the kernel hands connections over in the order in which they were made, so whoever came before has been seen by now. False when we
 * were not heard. Rejected: to look after a while, which on a busy computer is too soon.
 */
export async function knock(address: Address, knocks: Knocks): Promise<boolean> {
  const word = crypto.randomUUID();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  knocks.set(word, () => resolve(true));
  const timer = setTimeout(() => resolve(false), SEEN);
  const socket = { data: () => undefined, open: (us: Bun.Socket) => void us.write(word) };
  const connecting = "unix" in address ? Bun.connect({ ...address, socket }) : Bun.connect({ ...address, socket });
  const us = connecting.catch(() => {
    resolve(false);
    return null;
  });
  const heard = await promise;
  clearTimeout(timer);
  knocks.delete(word);
  void us.then((open) => open?.end());
  return heard;
}

export class ForbiddenListener implements Disposable {
  readonly #address: Address;
  readonly #server: { stop(closeActiveConnections?: boolean): void };
  readonly #knocks: Knocks = new Map();
  #opened = 0;

  /** A path, an abstract name (it begins with NUL), or null for a port of its own on the loopback interface. */
  constructor(path: string | null) {
    const socket = {
      open: () => void this.#opened++,
      data: (_: unknown, bytes: Uint8Array): void => {
        const knocked = this.#knocks.get(Buffer.from(bytes).toString("latin1"));
        if (knocked === undefined) return;
        this.#opened--;
        knocked();
      },
    };
    if (path === null) {
      const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
      this.#server = server;
      this.#address = { hostname: "127.0.0.1", port: server.port };
    } else {
      this.#server = Bun.listen({ unix: path, socket });
      this.#address = { unix: path };
    }
  }

  /** 0 where it has none. */
  get port(): number {
    return "port" in this.#address ? this.#address.port : 0;
  }

  begin(): void {
    this.#opened = 0;
  }

  /** Whether anybody else connected, or nobody can any more. */
  async reached(): Promise<boolean> {
    return this.#opened > 0 || !(await knock(this.#address, this.#knocks)) || this.#opened > 0;
  }

  [Symbol.dispose](): void {
    this.#server.stop(true);
  }
}
