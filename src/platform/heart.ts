import { getRandomValues } from "node:crypto";
import type { HeartCrypto, HeartDeps } from "../heart/ports.ts";
import type { Millis } from "../lib/brand.ts";
import type { Clock, Random } from "../lib/ports.ts";
import { heartFiles } from "./key-store.ts";
import { sqliteDriver } from "./sqlite/driver.ts";

/** The real machine under a heart. `openHeart(heartDeps(), { file: layout.heart, keysDir: layout.keys }, buildDate)`. */
export function heartDeps(overrides: Partial<HeartDeps> = {}): HeartDeps {
  return {
    sql: sqliteDriver,
    files: heartFiles,
    crypto: heartCrypto,
    clock: systemClock,
    random: systemRandom,
    writer: { label: "", host: `${process.platform}-${process.arch}` },
    ...overrides,
  };
}

const heartCrypto: HeartCrypto = {
  // A quarter of the time of a hasher made for each.
  sha256: (data) => Bun.SHA256.hash(data) as Uint8Array,
  hmacSha256(key) {
    // Copying a keyed hasher is twice as fast as node's createHmac, and a row is sealed on every write and checked on every read.
    const keyed = new Bun.CryptoHasher("sha256", key);
    return (data) => keyed.copy().update(data).digest();
  },
};

const systemClock: Clock = {
  now: () => Date.now() as Millis,
  monotonic: () => performance.now(),
};

const systemRandom: Random = {
  bytes: (n) => getRandomValues(new Uint8Array(n)),
};
