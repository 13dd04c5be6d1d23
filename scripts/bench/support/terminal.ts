import { readFileSync } from "node:fs";

export interface Running extends AsyncDisposable {
  readonly pid: number;
  /** All that was written since the last `take`. */
  take(): string;
  write(text: string): void;
  /** Resolves with the milliseconds since the start, or since `from`, when `seen` holds for what was written so far. */
  until(seen: (written: string) => boolean, limitMs: number): Promise<number>;
}

/** A program in a pseudo-terminal whose output is read and not drawn. */
export function inTerminal(argv: readonly string[], env: Readonly<Record<string, string>>, columns = 80, rows = 24): Running {
  let written = "";
  let wake: () => void = () => undefined;
  const decoder = new TextDecoder();
  const started = performance.now();
  const child = Bun.spawn([...argv], {
    env: { ...env },
    terminal: {
      cols: columns,
      rows,
      data: (_terminal, bytes) => {
        written += decoder.decode(bytes, { stream: true });
        wake();
      },
    },
  });
  return {
    pid: child.pid,
    take: () => {
      const text = written;
      written = "";
      return text;
    },
    write: (text) => void child.terminal?.write(text),
    until: async (seen, limitMs) => {
      const end = performance.now() + limitMs;
      while (!seen(written)) {
        if (performance.now() > end || child.exitCode !== null)
          throw new Error(`nothing of the kind appeared; last: ${JSON.stringify(written.slice(-200))}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = setTimeout(resolve, 50);
        await promise;
        clearTimeout(timer);
      }
      return performance.now() - started;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

const TICKS_PER_SECOND = 100;

/** Seconds of processor that a process has used, its threads included. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident bytes. */
export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) * 1024;
}
