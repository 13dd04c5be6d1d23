import type { Contents } from "../heart-contestants.ts";

/** Names of registers and elements in the peers: shorter than the heart's ids, which is to their advantage. */
export const nameOf = (at: number): string => `${at}`;

export function contentsFrom(registers: Iterable<readonly [string, unknown]>, elements: Iterable<string>): Contents {
  const hash = new Bun.CryptoHasher("sha256");
  const lines = [...registers].map(([name, value]) => `${name}=${String(value)};`);
  const present = [...elements].map(Number).sort((a, b) => a - b);
  for (const line of lines.sort()) hash.update(line);
  hash.update(present.join());
  return { digest: hash.digest("hex"), elements: new Set(present) };
}
