export function unpackNative(): { ok: true; value: { binsDir: string; release(): void } } | { ok: false; error: { kind: string } } {
  return { ok: false, error: { kind: "x" } };
}
