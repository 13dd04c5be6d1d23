import { err, ok, type Result } from "../lib/result.ts";

/** SHA-256 of a file of any size in hex; the error is the reason in words. */
export async function fileDigest(path: string): Promise<Result<string, string>> {
  const hasher = new Bun.CryptoHasher("sha256");
  try {
    for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  } catch (error) {
    return err(error instanceof Error ? error.message : "it cannot be read");
  }
  return ok(hasher.digest("hex"));
}
