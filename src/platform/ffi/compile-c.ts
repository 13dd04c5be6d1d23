/** C that travels as text and is compiled where it runs, by the compiler inside Bun. */
import { cc, dlopen, type FFIFunction, type Library } from "bun:ffi";
import { closeSync, writeSync } from "node:fs";

/** Takes some milliseconds. Throws where that is not possible. */
export function compileC<Functions extends Record<string, FFIFunction>>(source: string, symbols: Functions): Library<Functions>["symbols"] {
  // TinyCC opens its source by path, and nothing inside a compiled program has one that it can open: so it gets a file in memory.
  const libc = dlopen("libc.so.6", { memfd_create: { args: ["cstring", "u32"], returns: "i32" } });
  const file = libc.symbols.memfd_create(Buffer.from("native.c\0"), 1);
  if (file < 0) throw new Error("no file in memory");
  try {
    writeSync(file, source);
    return cc({ source: `/proc/self/fd/${file}`, symbols }).symbols;
  } finally {
    closeSync(file);
  }
}
