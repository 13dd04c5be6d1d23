/** Output of two streams within one budget; what comes after it is dropped. */
export async function collect(
  stream: ReadableStream<Uint8Array>,
  budget: { left: number },
  over: () => void,
  onOutput: (bytes: Uint8Array) => void,
): Promise<Uint8Array> {
  const kept: Uint8Array[] = [];
  try {
    for await (const bytes of stream) {
      const part = bytes.length <= budget.left ? bytes : bytes.subarray(0, Math.max(0, budget.left));
      budget.left -= bytes.length;
      if (part.length > 0) {
        kept.push(part);
        onOutput(part);
      }
      if (budget.left < 0) {
        over();
        break;
      }
    }
  } catch {
    // The process was killed while we read: what came before counts.
  }
  return Buffer.concat(kept);
}
