/** Looks into native objects of an addon: the one place that reads addresses. Every answer is checked by whoever asks; 0 means "nothing". */
import type { Pointer } from "bun:ffi";
import { compileC } from "./compile-c.ts";
import source from "./native.c" with { type: "text" };

export interface NativeObjects {
  /** Where the native object behind an addon's object lies. */
  addressOf(object: object): bigint;
  /** The eight bytes at an address. */
  word(address: bigint): bigint;
  /** One that is not set. */
  flag(): NativeFlag;
}

/** What native threads may look at. Not memory of JavaScript's: where the bytes of a small array lie changes, `ptr` of it is good for one call. */
export interface NativeFlag extends Disposable {
  readonly address: Pointer;
  /** C code for `_Bool (*)(void *)`, which any thread may call: whether the flag at the address is set. */
  readonly isSet: Pointer;
  set(value: boolean): void;
  /** Only when nothing looks at it any more. */
  [Symbol.dispose](): void;
}

interface Compiled {
  noctem_unwrap(env: null, object: object): bigint;
  noctem_word(address: bigint): bigint;
  noctem_flag_new(): bigint;
  noctem_flag_set(flag: bigint, value: number): void;
  noctem_flag_free(flag: bigint): void;
  noctem_is_set_code(): bigint;
}

let known: NativeObjects | undefined;

/** Compiles its few lines of C on the first call (7 ms). Throws where that is not possible. */
export function nativeObjects(): NativeObjects {
  if (known !== undefined) return known;
  const symbols = compileC(source, {
    // Bun fills in `napi_env`, which takes a place in the call all the same: without the null, the object would arrive there.
    noctem_unwrap: { args: ["napi_env", "napi_value"], returns: "u64" },
    noctem_word: { args: ["u64"], returns: "u64" },
    noctem_flag_new: { args: [], returns: "u64" },
    noctem_flag_set: { args: ["u64", "u8"], returns: "void" },
    noctem_flag_free: { args: ["u64"], returns: "void" },
    noctem_is_set_code: { args: [], returns: "u64" },
  });
  const compiled = symbols as unknown as Compiled;
  known = {
    addressOf: (object) => compiled.noctem_unwrap(null, object),
    word: (address) => compiled.noctem_word(address),
    flag() {
      const flag = compiled.noctem_flag_new();
      if (flag === 0n) throw new Error("no memory");
      return {
        address: Number(flag) as Pointer,
        isSet: Number(compiled.noctem_is_set_code()) as Pointer,
        set: (value) => compiled.noctem_flag_set(flag, value ? 1 : 0),
        [Symbol.dispose]: () => compiled.noctem_flag_free(flag),
      };
    },
  };
  return known;
}
