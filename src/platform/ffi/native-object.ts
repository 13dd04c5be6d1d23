/** Looks into native objects of an addon: the one place that reads addresses. Every answer is checked by whoever asks; 0 means "nothing". */
import { cc, dlopen } from "bun:ffi";
import { closeSync, writeSync } from "node:fs";
import source from "./unwrap.c" with { type: "text" };

export interface NativeObjects {
  /** Where the native object behind an addon's object lies. */
  addressOf(object: object): bigint;
  /** The eight bytes at an address. */
  word(address: bigint): bigint;
}

interface Compiled {
  noctem_unwrap(env: null, object: object): bigint;
  noctem_word(address: bigint): bigint;
}

let known: NativeObjects | undefined;

/** Compiles its few lines of C on the first call (7 ms). Throws where that is not possible. */
export function nativeObjects(): NativeObjects {
  if (known !== undefined) return known;
  // TinyCC opens its source by path, and nothing inside a compiled program has one that it can open: so it gets a file in memory.
  const libc = dlopen("libc.so.6", { memfd_create: { args: ["cstring", "u32"], returns: "i32" } });
  const file = libc.symbols.memfd_create(Buffer.from("unwrap.c\0"), 1);
  if (file < 0) throw new Error("no file in memory");
  try {
    writeSync(file, source);
    const { symbols } = cc({
      source: `/proc/self/fd/${file}`,
      symbols: {
        // Bun fills in `napi_env`, which takes a place in the call all the same: without the null, the object would arrive there.
        noctem_unwrap: { args: ["napi_env", "napi_value"], returns: "u64" },
        noctem_word: { args: ["u64"], returns: "u64" },
      },
    });
    const compiled = symbols as unknown as Compiled;
    known = { addressOf: (object) => compiled.noctem_unwrap(null, object), word: (address) => compiled.noctem_word(address) };
    return known;
  } finally {
    closeSync(file);
  }
}
