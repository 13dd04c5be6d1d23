/** ClientHellos for tests, right ones and wrong ones. */
export interface HelloOptions {
  /** Server names, each an extension of its own; `list` makes one extension with all of them. */
  readonly names?: readonly string[];
  readonly list?: boolean;
  /** Bytes of each record's content. */
  readonly record?: number;
  readonly padding?: number;
  readonly after?: Uint8Array;
  readonly withoutExtensions?: boolean;
}

const u16 = (value: number): number[] => [(value >> 8) & 255, value & 255];
const vector = (bytes: readonly number[]): number[] => [...u16(bytes.length), ...bytes];
const ascii = (text: string): number[] => Array.from(text, (character) => character.charCodeAt(0));

export function helloMessage({
  names = ["allowed.example"],
  list = false,
  padding = 0,
  withoutExtensions = false,
}: HelloOptions = {}): Uint8Array {
  const entry = (name: string): number[] => [0, ...vector(ascii(name))];
  const nameExtensions = list ? [names.flatMap(entry)] : names.map(entry);
  const extensions = [
    ...(padding > 0 ? [...u16(21), ...vector(Array.from({ length: padding }, () => 0))] : []),
    ...nameExtensions.flatMap((entries) => [...u16(0), ...vector(vector(entries))]),
    ...u16(43),
    ...vector([2, 3, 4]),
  ];
  const body = [
    3,
    3,
    ...Array.from({ length: 32 }, (_, index) => index),
    0,
    ...vector([0x13, 0x01]),
    1,
    0,
    ...(withoutExtensions ? [] : vector(extensions)),
  ];
  return Uint8Array.from([1, body.length >> 16, ...u16(body.length & 0xffff), ...body]);
}

/** In records of `record` bytes. */
export function clientHello(options: HelloOptions = {}): Uint8Array {
  const message = helloMessage(options);
  const size = options.record ?? message.length;
  const records: number[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(22, 3, 1, ...u16(part.length), ...part);
  }
  return Uint8Array.from([...records, ...(options.after ?? [])]);
}
