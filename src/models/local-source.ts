import { err, ok } from "../lib/result.ts";
import type { ByteSource, ModelFiles, SourceFailure } from "./ports.ts";

/** Bytes read at a time. */
const STEP = 4 << 20;

/** A file of this computer, read as a download is: with progress, cancellable, and resumed while the file stays the same. */
export function localSource(path: string, label: string, sha256: string | null, files: ModelFiles): ByteSource {
  const gone: SourceFailure = { kind: "source", detail: `${path} is gone or may not be read`, passing: false };
  const tagOf = async (): Promise<{ readonly tag: string; readonly size: number } | null> => {
    const facts = await files.stat(path);
    return facts && { tag: `${facts.size}-${Math.round(facts.mtimeMs)}`, size: facts.size };
  };
  return {
    label,
    async facts() {
      const facts = await tagOf();
      return facts === null ? err(gone) : ok({ size: facts.size, sha256, tag: facts.tag });
    },
    async open({ from: wanted, length, ifTag }, signal) {
      const facts = await tagOf();
      if (facts === null) return err(gone);
      const from = ifTag === null || ifTag === facts.tag ? wanted : 0;
      let at = from;
      const end = Math.min(from + length, facts.size);
      return ok({
        from,
        total: facts.size,
        tag: facts.tag,
        async next() {
          if (signal.aborted) return err({ kind: "cancelled", detail: "cancelled", passing: false } as const);
          if (at >= end) return ok(null);
          const bytes = await files.read(path, at, Math.min(STEP, end - at));
          if (!bytes.ok) return err(gone);
          at += bytes.value.length;
          return ok(bytes.value.length === 0 ? null : bytes.value);
        },
        [Symbol.dispose]() {},
      });
    },
  };
}
