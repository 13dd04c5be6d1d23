/** What a socket takes before its writer waits, asked of the kernel. */
import { dlopen, ptr } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { giveRoom, ROOM } from "../../src/platform/ffi/socket-room.ts";
import { tempDir } from "../support/noctem.ts";

const LIBRARY = "libc.so.6";
const library = (() => {
  try {
    return dlopen(LIBRARY, { getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" } }).symbols;
  } catch {
    return null;
  }
})();
const LIMIT = "/proc/sys/net/core/wmem_max";
const cannot = library === null ? `no ${LIBRARY}` : existsSync(LIMIT) ? null : "the kernel's limit is not told here";

const roomOf = (socket: object): number => {
  const [value, size] = [new Int32Array(1), new Uint32Array([4])];
  if (!("fd" in socket) || typeof socket.fd !== "number") throw new Error("Bun's sockets have no descriptor any more");
  expect(library?.getsockopt(socket.fd, 1, 7, ptr(value), ptr(size))).toBe(0);
  return value[0] ?? 0;
};

describe.skipIf(cannot !== null)(`the room of a socket${cannot === null ? "" : ` (skipped: ${cannot})`}`, () => {
  test("is as much as the kernel lets anybody have", async () => {
    using folder = tempDir("noctem-room-");
    const path = join(folder.path, "socket");
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly before: number; readonly after: number }>();
    using listener = Bun.listen({
      unix: path,
      socket: {
        open(socket) {
          try {
            const before = roomOf(socket);
            giveRoom(socket);
            resolve({ before, after: roomOf(socket) });
          } catch (error) {
            reject(error);
          }
        },
        data: () => undefined,
      },
    });
    const client = await Bun.connect({ unix: listener.unix, socket: { data: () => undefined } });
    const { before, after } = await promise;
    client.end();
    const most = Number(readFileSync(LIMIT, "utf8"));
    expect(after).toBe(2 * Math.min(ROOM, most));
    expect(after).toBeGreaterThan(before);
  });

  test("of what is no socket, or an ended one, it says nothing", () => {
    for (const odd of [{}, { fd: -1 }, { fd: "3" }, { fd: 1 << 20 }]) expect(() => giveRoom(odd)).not.toThrow();
  });
});
