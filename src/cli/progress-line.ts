import type { PullProgress } from "../models/port.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { bytesText } from "./bytes-text.ts";
import type { CommandIo } from "./command.ts";

/** Milliseconds between lines where no terminal can overwrite the last one: a log of hours stays readable. */
const LINE_EVERY = 10_000;

export interface ProgressLine extends Disposable {
  readonly show: (progress: PullProgress) => void;
  /** Before anything else is written to stderr. */
  readonly clear: () => void;
}

/** Progress on stderr: one line in place on a terminal, a line now and then in a log. */
export function progressLine(io: CommandIo, name: string, now: () => number = () => performance.now()): ProgressLine {
  const inPlace = io.stderrIsTerminal && io.env["TERM"] !== "dumb";
  let phase: PullProgress["phase"] | null = null;
  let source = "";
  let written = -Infinity;
  let drawn = false;
  const clear = (): void => {
    if (drawn) io.err("\r\u001b[K");
    drawn = false;
  };
  return {
    show(progress) {
      const line = `${forTerminal(name)}: ${progressText(progress)}`;
      if (inPlace) {
        io.err(`\r${Bun.sliceAnsi(line, 0, (io.columns > 0 ? io.columns : 80) - 1)}\u001b[K`);
        drawn = true;
        return;
      }
      const news = progress.phase !== phase || progress.source !== source;
      if (!news && now() - written < LINE_EVERY) return;
      phase = progress.phase;
      source = progress.source;
      written = now();
      io.err(`noctem: ${line}\n`);
    },
    clear,
    [Symbol.dispose]: clear,
  };
}

const PHASES = {
  connect: "asking",
  download: "downloading from",
  copy: "copying from",
  verify: "verifying",
  check: "saying hello to it on",
} as const;

export function progressText({ phase, bytes, total, bytesPerSecond, secondsLeft, source }: PullProgress): string {
  const what = phase === "verify" ? PHASES.verify : `${PHASES[phase]} ${forTerminal(source)}`;
  if (phase === "connect" || phase === "check") return what;
  // The figures first: a narrow terminal cuts off the end.
  const share = total > 0 ? `${Math.floor((bytes / total) * 100)} %, ${bytesText(bytes)} of ${bytesText(total)}` : bytesText(bytes);
  const speed = bytesPerSecond > 0 ? `, ${bytesText(bytesPerSecond)}/s` : "";
  const left = secondsLeft === null ? "" : `, ${durationText(secondsLeft)} left`;
  return `${share}${speed}${left}, ${what}`;
}

export function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
