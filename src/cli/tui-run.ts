import { basename } from "node:path";
import type { TurnFailure } from "../session/event.ts";
import type { SessionPort } from "../session/port.ts";
import { openTerminal } from "../platform/tty.ts";
import { terminalLines } from "../platform/terminal-lines.ts";
import { systemTimers } from "../platform/timers.ts";
import type { CommandIo } from "./command.ts";
import { withSession, type SessionRequest } from "./compose.ts";
import { turnFailureText } from "./error-text.ts";
import { versionLine } from "./version.ts";

const LEAST = { columns: 30, rows: 8 };

/** The chat, on the whole screen where there is one. Its parts are loaded while the heart opens. */
export async function runTui(request: SessionRequest & { readonly plain: boolean }): Promise<number> {
  const { io } = request;
  const explain = (failure: TurnFailure) => turnFailureText(failure).text;
  if (request.plain || wantsPlain(io)) return await runPlain(request, explain);
  const [{ startTui }, { InputSplitter }] = await Promise.all([import("../../tui/start-tui.tsx"), import("../../tui/input/splitter.ts")]);
  return await withSession(request, "tui", async (session) => {
    using terminal = openTerminal(new InputSplitter());
    if (terminal === null) return await plainChat(session, explain, io);
    return await startTui({
      session,
      terminal,
      timers: systemTimers,
      theme: {
        setting: request.settings.theme,
        // https://no-color.org: set and not empty.
        noColor: (io.env["NO_COLOR"] ?? "") !== "",
        colorfgbg: io.env["COLORFGBG"],
      },
      workspace: shortPath(request.workspace.path, io.env["HOME"]),
      version: versionLine(),
      explain,
      // Over a network every frame is a packet.
      framesPerSecond: io.env["SSH_CONNECTION"] === undefined ? 20 : 10,
      signal: io.signal,
    });
  });
}

function wantsPlain(io: CommandIo): boolean {
  // Both are undefined where the terminal does not tell, whatever the types say.
  const columns = process.stdout.columns || 80;
  const rows = process.stdout.rows || 24;
  const dumb = io.env["TERM"] === "dumb" || io.env["TERM"] === undefined;
  return dumb || (io.env["ACCESSIBLE"] ?? "") !== "" || columns < LEAST.columns || rows < LEAST.rows;
}

async function runPlain(request: SessionRequest, explain: (failure: TurnFailure) => string): Promise<number> {
  return await withSession(request, "tui", async (session) => await plainChat(session, explain, request.io));
}

async function plainChat(session: SessionPort, explain: (failure: TurnFailure) => string, io: CommandIo): Promise<number> {
  const { startPlain } = await import("../../tui/plain.ts");
  return await startPlain({ session, explain, signal: io.signal, write: io.out, lines: terminalLines() });
}

function shortPath(path: string, home: string | undefined): string {
  if (home !== undefined && home.length > 1 && (path === home || path.startsWith(`${home}/`))) return `~${path.slice(home.length)}`;
  return path.length > 40 ? `…/${basename(path)}` : path;
}
