/**
 * How much a unix socket takes before its writer has to wait. Linux gives it 208 kB whatever anybody needs: proxy and relay then wake each other for every few blocks, and a
 * download came at 0.6 of a plain relay's speed. Neither Bun nor Node has a call for it, and the end that is accepted takes nothing over from its listener.
 */
import { dlopen } from "bun:ffi";

/** Bytes. The kernel doubles it for its own books, and gives less where its limit is lower. */
export const ROOM = 1 << 20;

/** socket(7), the same numbers on x86-64 and aarch64. */
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;

let library: { readonly setsockopt: (...args: [number, number, number, Int32Array, number]) => number } | null = null;
let isSought = false;

/** `socket`: one of Bun's, which know their descriptor though its types do not say so. Best effort: what cannot be had makes a stream slower and nothing else. */
export function giveRoom(socket: object, bytes = ROOM): void {
  const fd = "fd" in socket && typeof socket.fd === "number" ? socket.fd : -1;
  if (fd < 0) return;
  if (!isSought) library = setsockoptOf();
  isSought = true;
  library?.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, new Int32Array([bytes]), 4);
}

function setsockoptOf(): typeof library {
  try {
    return dlopen("libc.so.6", { setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" } }).symbols;
  } catch {
    return null;
  }
}
