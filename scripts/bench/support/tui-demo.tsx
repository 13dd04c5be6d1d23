/**
 * The chat over a session that plays: a transcript of 10,000 lines, and an answer of RATE tokens a second. Compiled by the
 * bench with the product's flags, so that what is measured is the drawing and not a model.
 */
import { InputSplitter } from "../../../tui/input/splitter.ts";
import { startTui } from "../../../tui/start-tui.tsx";
import type { MessageId, Millis, SessionId } from "../../../src/lib/brand.ts";
import type { Message } from "../../../src/lib/message.ts";
import { openTerminal } from "../../../src/platform/tty.ts";
import { systemTimers } from "../../../src/platform/timers.ts";
import type { SessionEvent, ShownMessage } from "../../../src/session/event.ts";
import type { SessionPort } from "../../../src/session/port.ts";
import { INITIAL_VIEW, reduce, type ViewState } from "../../../src/session/view.ts";

const PIECE =
  "## Result\n\nThe build **passes** on `linux-x64`; 漢字 stay aligned.\n\n```ts\nexport function add(a: number, b: number): number {\n  return a + b; // sums\n}\n```\n\n1. first point with a [link](http://x.test)\n2. second point, rather longer than one row of an eighty column terminal can hold\n\n| name | size |\n|---|---|\n| heart | 12 MB |\n\n";
const TOKENS = PIECE.match(/\s*\S{1,4}|\s+/gu) ?? [];
const rate = Number(process.env["RATE"] ?? 0);
const lines = Number(process.env["LINES"] ?? 0);
const ROWS_OF_PIECE = 19;

const listeners = new Set<(event: SessionEvent) => void>();
let view: ViewState = INITIAL_VIEW;
const emit = (event: SessionEvent): void => {
  view = reduce(view, event);
  for (const listener of listeners) listener(event);
};
const session: SessionPort = {
  dispatch: () => undefined,
  subscribe: (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  view: () => view,
  settled: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};

emit({
  type: "session-opened",
  session: null,
  path: Array.from({ length: Math.ceil(lines / ROWS_OF_PIECE) }, (_, index) => message(index)),
  store: { kind: "stored", warning: null },
});
using terminal = openTerminal(new InputSplitter());
if (terminal === null) throw new Error("this needs a terminal");
if (rate > 0) stream();
const abort = new AbortController();
process.exit(
  await startTui({
    session,
    terminal,
    timers: systemTimers,
    theme: { setting: "dark", noColor: false, colorfgbg: undefined },
    workspace: "~/work",
    version: "bench",
    explain: () => "",
    framesPerSecond: 20,
    signal: abort.signal,
  }),
);

function message(index: number): ShownMessage {
  const id = index.toString(16).padStart(32, "0") as MessageId;
  const label = { c: 2, k: [], i: 2, p: [] } as const;
  const spans = [{ kind: "model", text: PIECE }] as const;
  const at = 0 as Millis;
  const stored: Message = {
    id,
    session: "00" as SessionId,
    parent: null,
    role: "assistant",
    spans,
    label,
    origin: "agent",
    at,
    reply: null,
    redacted: false,
  };
  return { message: stored, take: 1, takes: 1, siblings: [id] };
}

function stream(): void {
  emit({ type: "turn-started", turn: 1, tier: "quick", model: "bench", reason: "" });
  emit({ type: "turn-prompt", turn: 1, tokens: 1, cached: 0 });
  const started = performance.now();
  let sent = 0;
  setInterval(
    () => {
      for (const due = ((performance.now() - started) / 1000) * rate; sent < due; sent++) {
        emit({ type: "turn-text", turn: 1, text: TOKENS[sent % TOKENS.length] ?? "", tokens: 1 });
      }
    },
    Math.max(4, 1000 / rate),
  );
}
