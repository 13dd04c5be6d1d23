/** The compiled program in a real pseudo-terminal, and what a person sees of it: a terminal emulator keeps the screen. */
import { Terminal } from "@xterm/headless";
import { cleanEnvironment } from "./noctem.ts";

export interface PtyOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface Pty extends AsyncDisposable {
  readonly pid: number;
  /** Rows of the screen, without trailing blanks. */
  screen(): string[];
  /** The screen as one string. */
  text(): string;
  /** Everything written so far, as bytes of the terminal. */
  raw(): string;
  /** One read for each character, as a person types. */
  type(text: string): Promise<void>;
  /** All at once. */
  send(bytes: string): void;
  resize(columns: number, rows: number): void;
  /** Resolves with the screen once it matches; fails with the last screen after `limitMs`. */
  see(wanted: RegExp | ((screen: string) => boolean), limitMs?: number): Promise<string>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<number>;
  /** The modes that a program must put back: main screen, cursor shown, no bracketed paste. */
  restored(): { readonly mainScreen: boolean; readonly cursorShown: boolean; readonly plainPaste: boolean };
}

export function openPty(argv: readonly string[], options: PtyOptions = {}): Pty {
  const { columns = 80, rows = 24, env = {}, cwd } = options;
  const terminal = new Terminal({ cols: columns, rows, scrollback: 0, allowProposedApi: true });
  const decoder = new TextDecoder();
  let raw = "";
  let wake = (): void => undefined;
  const child = Bun.spawn([...argv], {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...cleanEnvironment, NOCTEM_THREADS: "1", ...env },
    terminal: {
      cols: columns,
      rows,
      data: (_terminal, bytes) => {
        raw += decoder.decode(bytes, { stream: true });
        terminal.write(bytes, () => wake());
      },
    },
  });
  const screen = () =>
    Array.from(
      { length: terminal.rows },
      (_, row) => terminal.buffer.active.getLine(terminal.buffer.active.baseY + row)?.translateToString(true) ?? "",
    );
  const last = (on: string, off: string) => raw.lastIndexOf(on) > raw.lastIndexOf(off);
  return {
    pid: child.pid,
    screen,
    text: () => screen().join("\n"),
    raw: () => raw,
    type: async (text) => {
      for (const character of text) {
        child.terminal?.write(character);
        await Bun.sleep(4);
      }
    },
    send: (bytes) => void child.terminal?.write(bytes),
    resize: (wide, high) => {
      terminal.resize(wide, high);
      child.terminal?.resize(wide, high);
    },
    see: async (wanted, limitMs = 10_000) => {
      const end = performance.now() + limitMs;
      for (;;) {
        const text = screen().join("\n");
        if (typeof wanted === "function" ? wanted(text) : wanted.test(text)) return text;
        if (performance.now() > end) throw new Error(`not seen: ${String(wanted)}\n${text}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = setTimeout(resolve, 50);
        await promise;
        clearTimeout(timer);
      }
    },
    signal: (name) => child.kill(name),
    exited: child.exited.then((code) => code),
    restored: () => ({
      mainScreen: !last("\u001b[?1049h", "\u001b[?1049l"),
      cursorShown: !last("\u001b[?25l", "\u001b[?25h"),
      plainPaste: !last("\u001b[?2004h", "\u001b[?2004l"),
    }),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
      terminal.dispose();
    },
  };
}
