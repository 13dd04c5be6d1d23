/** Time-outs and intervals. An interval never keeps the process alive; a time-out does, because someone waits for it. */
export const systemTimers = {
  after(ms: number, callback: () => void): () => void {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  every(ms: number, callback: () => void): () => void {
    const timer = setInterval(callback, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
  monotonic: () => performance.now(),
};
