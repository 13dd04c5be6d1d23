import type { FrameSource } from "./app.tsx";
import { Controller } from "./controller.ts";
import type { TuiDeps } from "./deps.ts";
import { EchoAhead } from "./echo-ahead.ts";
import type { Frame } from "./frame.ts";

/** Above this Ink would hold back the echo of a key; streaming is limited by `Screen` instead. */
const MAX_FPS = 125;
/**
 * Part of a core that frames of a streaming answer may take, keys not counted: the model needs the rest. A frame of 80×24 costs
 * 6 ms and of 200×60 twice that, nearly all of it Ink's, and more on a busy computer; there are then fewer of them.
 */
const DRAWING_SHARE = 0.08;
const LEAST_FPS = 5;

/**
 * The chat on the whole screen, until the person leaves or `signal` fires. Returns the exit code. Whatever happens in it, the
 * terminal is its owner's again afterwards: `deps.terminal` puts it back when it is closed.
 */
export async function startTui(deps: TuiDeps): Promise<number> {
  const { terminal } = deps;
  const left = Promise.withResolvers<number>();
  const screen = new Screen((width, height) => controller.frame(width, height), deps);
  using controller = new Controller(
    deps,
    (urgent) => (urgent ? screen.draw(true) : screen.drawSoon()),
    (code) => left.resolve(code),
  );
  const leave = () => left.resolve(0);
  deps.signal.addEventListener("abort", leave, { once: true });
  if (deps.signal.aborted) leave();

  // Ink takes 60 ms to load and to draw for the first time; what it will draw is known before.
  screen.draw();
  terminal.output.write(firstPaint(screen.current()));
  const stopInput = terminal.onInput((event) => controller.handle(event));
  controller.begin();
  const [{ render }, { App }] = await Promise.all([import("ink"), import("./app.tsx")]);

  const app = () => <App source={screen} columns={terminal.size.columns} />;
  screen.draw();
  const ink = terminal.together(() => {
    // Ink begins where the cursor stands, and erases nothing.
    terminal.output.write("\u001b[H\u001b[J");
    return render(app(), {
      stdout: terminal.output,
      stdin: terminal.deadInput,
      exitOnCtrlC: false,
      patchConsole: false,
      // CI in the environment must not leave a person before a blank screen.
      interactive: true,
      alternateScreen: true,
      incrementalRendering: true,
      maxFps: MAX_FPS,
      onRender: () => screen.drawn(),
    });
  });
  // Ink ends itself when drawing throws: then this fails too, instead of waiting for keys before a blank screen.
  const broken = ink.waitUntilExit().then(() => left.promise);
  const stops = [
    stopInput,
    terminal.onDrain(() => screen.draw()),
    terminal.onRedraw(() => {
      // After a change of size Ink would compare with rows that the terminal has cut or moved since.
      terminal.output.write("\u001b[2J\u001b[H");
      ink.clear();
      screen.draw();
      ink.rerender(app());
    }),
  ];
  try {
    return await Promise.race([left.promise, broken]);
  } finally {
    for (const stop of stops) stop();
    screen.close();
    ink.unmount();
    await broken.catch(() => undefined);
  }
}

/** The frame on a fresh alternate screen, the cursor hidden: it shows once the real one can be placed. */
function firstPaint({ rows }: Frame): string {
  const placed = rows.map((row, index) => `\u001b[${index + 1}H${row}`).join("");
  return `\u001b[?1049h\u001b[?25l\u001b[?2026h\u001b[2J${placed}\u001b[?2026l`;
}

/** Holds the frame that is shown. Keys are drawn at once, everything else as often as `framesPerSecond` and its cost allow. */
class Screen implements FrameSource {
  readonly #make: (width: number, height: number) => Frame;
  readonly #deps: TuiDeps;
  readonly #listeners = new Set<() => void>();
  readonly #echo = new EchoAhead();
  #frame: Frame = { rows: [""], cursor: null, room: 1, chatWidth: 1, overlayRows: 0 };
  #later: (() => void) | null = null;
  #missed = false;
  #startedAt: number | null = null;
  /** Milliseconds that a frame takes from the view to the terminal; a moving average. */
  #cost = 0;

  constructor(make: (width: number, height: number) => Frame, deps: TuiDeps) {
    this.#make = make;
    this.#deps = deps;
  }

  readonly current = (): Frame => this.#frame;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** `urgent`: a key asked for it, and is to be seen before Ink has drawn. */
  draw(urgent = false): void {
    this.#later?.();
    this.#later = null;
    // A terminal that does not read gets no more frames; it gets the newest one when it reads again.
    if (this.#deps.terminal.busy) {
      this.#missed = true;
      return;
    }
    this.#missed = false;
    const { columns, rows } = this.#deps.terminal.size;
    this.#startedAt = this.#deps.timers.monotonic();
    this.#frame = this.#make(columns, rows);
    const echo = this.#echo.paint(this.#frame, urgent);
    if (echo !== "") this.#deps.terminal.send(echo);
    for (const listener of this.#listeners) listener();
  }

  /** Ink has written the frame. */
  drawn(): void {
    this.#echo.inkWrote();
    if (this.#startedAt === null) return;
    const took = this.#deps.timers.monotonic() - this.#startedAt;
    this.#startedAt = null;
    this.#cost += (took - this.#cost) / 8;
  }

  drawSoon(): void {
    if (this.#missed || this.#later) return;
    const pause = Math.max(1000 / this.#deps.framesPerSecond, this.#cost / DRAWING_SHARE);
    this.#later = this.#deps.timers.after(Math.min(1000 / LEAST_FPS, pause), () => {
      this.#later = null;
      this.draw();
    });
  }

  close(): void {
    this.#later?.();
    this.#listeners.clear();
  }
}
