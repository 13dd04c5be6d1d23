import type { InstalledModel, ModelError, PullProgress } from "../models/port.ts";
import type { Result } from "../lib/result.ts";
import type { SessionDeps } from "./deps.ts";
import type { Job } from "./event.ts";

type Run = (onProgress: (progress: PullProgress) => void, signal: AbortSignal) => Promise<Result<InstalledModel, ModelError>>;

const MAX_RUNNING = 4;

/** Downloads and copies that a person started and that go on while the conversation does. */
export class JobBoard implements Disposable {
  readonly #deps: Pick<SessionDeps, "library" | "describe">;
  readonly #report: (job: Job) => void;
  readonly #installed: () => void;
  readonly #running = new Map<string, AbortController>();
  #count = 0;

  constructor(deps: Pick<SessionDeps, "library" | "describe">, report: (job: Job) => void, installed: () => void) {
    this.#deps = deps;
    this.#report = report;
    this.#installed = installed;
  }

  pull(name: string): void {
    this.#start(`pull ${name}`, (onProgress, signal) => this.#deps.library.pull(name, onProgress, signal));
  }

  importFile(path: string): void {
    this.#start(`import ${path.split("/").at(-1) ?? path}`, (onProgress, signal) =>
      this.#deps.library.importFile(path, onProgress, signal),
    );
  }

  cancel(id: string): void {
    this.#running.get(id)?.abort();
  }

  #start(label: string, run: Run): void {
    const id = `job-${++this.#count}`;
    if (this.#running.size >= MAX_RUNNING) {
      return this.#report({
        id,
        label,
        fraction: null,
        detail: `${MAX_RUNNING} jobs run already; try again when one is done.`,
        state: "failed",
      });
    }
    const abort = new AbortController();
    this.#running.set(id, abort);
    this.#report({ id, label, fraction: null, detail: "starting", state: "running" });
    void run((progress) => this.#report({ id, label, ...describeProgress(progress), state: "running" }), abort.signal).then((result) => {
      this.#running.delete(id);
      if (result.ok) {
        this.#report({ id, label, fraction: 1, detail: result.value.notes.join(" ") || "installed", state: "done" });
        this.#installed();
      } else if (result.error.kind === "cancelled")
        this.#report({ id, label, fraction: null, detail: "cancelled; it resumes where it stopped", state: "cancelled" });
      else this.#report({ id, label, fraction: null, detail: this.#deps.describe.model(result.error), state: "failed" });
    });
  }

  [Symbol.dispose](): void {
    for (const abort of this.#running.values()) abort.abort();
    this.#running.clear();
  }
}

function describeProgress(progress: PullProgress): { readonly fraction: number | null; readonly detail: string } {
  const fraction = progress.total > 0 ? Math.min(1, progress.bytes / progress.total) : null;
  const speed = progress.bytesPerSecond > 0 ? ` at ${(progress.bytesPerSecond / 1e6).toFixed(1)} MB/s` : "";
  const left = progress.secondsLeft === null ? "" : `, ${formatSeconds(progress.secondsLeft)} left`;
  return { fraction, detail: `${progress.phase}${speed}${left}` };
}

function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
