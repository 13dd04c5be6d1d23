/**
 * The first thing that is said inside a tunnel: a TLS ClientHello (RFC 8446 4.1.2), put together from as many records and segments as a program cares to
 * cut it into. Nothing of it is passed on before it was read to its end and named the right server.
 */

/** Bytes, with the records around it. One with keys of every kind has some two thousand. */
export const MOST_HELLO = 32 << 10;
const MOST_RECORD = 1 << 14;

export type Hello =
  | { readonly kind: "more" }
  /** `name`: the server's as it was written. */
  | { readonly kind: "hello"; readonly name: string }
  | { readonly kind: "refused"; readonly reason: string };

const refused = (reason: string): Hello => ({ kind: "refused", reason });
const MORE: Hello = { kind: "more" };

/** Of the bytes since the tunnel's beginning; asked again with more of them until it is no longer `more`. */
export function readHello(bytes: Uint8Array): Hello {
  const parts: Uint8Array[] = [];
  /** The message's own type and length. */
  const start: number[] = [];
  let length = 0;
  let at = 0;
  for (;;) {
    if (at > MOST_HELLO) return refused("its greeting has no end");
    const type = bytes[at];
    if (type === undefined) return MORE;
    if (type !== HANDSHAKE) return refused("what it says is not TLS");
    const major = bytes[at + 1];
    if (major !== undefined && major !== 3) return refused("what it says is not TLS");
    if (at + 5 > bytes.length) return MORE;
    const size = word(bytes, at + 3);
    if (size === 0 || size > MOST_RECORD) return refused("what it says is not TLS");
    const part = bytes.subarray(at + 5, at + 5 + size);
    parts.push(part);
    length += part.length;
    start.push(...part.subarray(0, 4 - start.length));
    if (start.length > 0 && start[0] !== CLIENT_HELLO) return refused("TLS begins with another message than a greeting");
    // As soon as the length is there, so that nobody waits for what is too long.
    if (start.length === 4) {
      const wanted = 4 + ((start[1] ?? 0) << 16) + ((start[2] ?? 0) << 8) + (start[3] ?? 0);
      if (wanted > MOST_HELLO) return refused("its greeting is too long");
      if (length >= wanted) {
        // A second message in the same record would be one that nobody here reads.
        if (length > wanted || part.length < size) return refused("something stands behind its greeting");
        return readMessage(concat(parts, wanted).subarray(4));
      }
    }
    if (part.length < size) return MORE;
    at += 5 + size;
  }
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;

const word = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

/** The first `most` bytes of the parts together. */
function concat(parts: readonly Uint8Array[], most: number): Uint8Array {
  const all = new Uint8Array(
    Math.min(
      most,
      parts.reduce((sum, part) => sum + part.length, 0),
    ),
  );
  let at = 0;
  for (const part of parts) {
    const taken = part.subarray(0, all.length - at);
    all.set(taken, at);
    at += taken.length;
  }
  return all;
}

/** Steps over what is of no interest, and throws nothing: past the end everything is null. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number): Uint8Array | null {
    if (count > this.left) return null;
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** What a length of `width` bytes says. */
  vector(width: 1 | 2): Uint8Array | null {
    const size = this.take(width);
    if (size === null) return null;
    return this.take(width === 1 ? (size[0] ?? 0) : word(size, 0));
  }
}

function readMessage(message: Uint8Array): Hello {
  const reader = new Reader(message);
  const malformed = refused("its greeting is malformed");
  const version = reader.take(2);
  const random = reader.take(32);
  const session = reader.vector(1);
  const ciphers = reader.vector(2);
  const compression = reader.vector(1);
  if (version === null || version[0] !== 3 || random === null || session === null || session.length > 32) return malformed;
  if (ciphers === null || ciphers.length < 2 || ciphers.length % 2 !== 0 || compression === null || compression.length === 0)
    return malformed;
  if (reader.left === 0) return refused("its greeting names no server");
  const extensions = reader.vector(2);
  if (extensions === null || reader.left > 0) return malformed;
  const list = new Reader(extensions);
  const names: Uint8Array[] = [];
  while (list.left > 0) {
    const type = list.take(2);
    const body = list.vector(2);
    if (type === null || body === null) return malformed;
    if (word(type, 0) === SERVER_NAME) names.push(body);
  }
  const [first] = names;
  if (first === undefined) return refused("its greeting names no server");
  if (names.length > 1) return refused("its greeting names two servers");
  return readName(first) ?? malformed;
}

/** RFC 6066 3: a list, which may hold one name of a kind, and there is one kind. */
function readName(body: Uint8Array): Hello | null {
  const reader = new Reader(body);
  const list = reader.vector(2);
  if (list === null || reader.left > 0) return null;
  const entry = new Reader(list);
  const type = entry.take(1);
  const name = entry.vector(2);
  if (type === null || type[0] !== HOST_NAME || name === null || name.length === 0) return null;
  if (entry.left > 0) return refused("its greeting names two servers");
  return { kind: "hello", name: String.fromCharCode(...name.subarray(0, 256)) };
}
