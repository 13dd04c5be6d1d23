export const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
export type EndingSignal = (typeof ENDING_SIGNALS)[number];

/**
 * Calls back at the first ending signal. At the second one `impatient` is called instead: whoever presses Ctrl-C twice does
 * not want to hear that something is being tidied up. Returns the unsubscribe.
 */
export function onEndingSignal(first: (signal: EndingSignal) => void, impatient: (signal: EndingSignal) => void): () => void {
  let told = false;
  const handlers = ENDING_SIGNALS.map((signal) => {
    const handler = () => {
      if (told) impatient(signal);
      else first(signal);
      told = true;
    };
    process.on(signal, handler);
    return () => void process.off(signal, handler);
  });
  return () => {
    for (const stop of handlers) stop();
  };
}
