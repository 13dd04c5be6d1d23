const MAX_LINES = 64;
const MAX_LENGTH = 500;

/** Lines that name a cause, as opposed to the stack dump or chatter after it. */
const CAUSE = /^panic|GGML_ASSERT|GGML_ABORT|error|failed|terminate called|what\(\)|exception|cannot|unable|bad_alloc|out of memory/i;

/** Of Bun's own message about a crash, which is about Bun and asks for a report to be sent: everything but the panic itself. */
const BANNER = /bun\.report|Bun has crashed|^To send a redacted crash report|^please file a GitHub issue/;

/** The last lines a child wrote to stderr, as evidence of why it died. Bounded; never shown as a whole. */
export class CrashLog {
  #lines: string[] = [];

  add(line: string): void {
    // Where the library was built says nothing; the file and line in it do.
    const clean = line.replaceAll(CONTROL, " ").replaceAll(BUILD_FOLDER, "").trim().slice(0, MAX_LENGTH);
    if (clean === "" || BANNER.test(clean)) return;
    this.#lines.push(clean);
    if (this.#lines.length > MAX_LINES) this.#lines.shift();
  }

  /** The last line that names a cause, else the last line, else "". */
  cause(): string {
    return this.#lines.findLast((line) => CAUSE.test(line)) ?? this.#lines.at(-1) ?? "";
  }
}

// oxlint-disable-next-line no-control-regex -- control characters are what must not reach a terminal
const CONTROL = /[\u0000-\u001f\u007f-\u009f]+/g;
const BUILD_FOLDER = /(?:\/[\w.+-]+)+\/(?=[\w.+-]+\.(?:c|cc|cpp|h|hpp|cu|m):\d)/g;
