/**
 * The chat in a terminal, with a bug in it: HOW says where. Reports it as the program does, on standard error, after which
 * the test looks at what a person is left with.
 */
import { InputSplitter } from "../../tui/input/splitter.ts";
import { startTui } from "../../tui/start-tui.tsx";
import { systemTimers } from "../../src/platform/timers.ts";
import { openTerminal } from "../../src/platform/tty.ts";
import { ScriptedSession } from "./scripted-session.ts";

const how = process.env["HOW"];
const report = (error: unknown): void => {
  console.error(`a bug was reported: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
};
process.on("uncaughtException", report);
process.on("unhandledRejection", report);

const terminal = openTerminal(new InputSplitter());
if (terminal === null) throw new Error("this needs a terminal");
const session = new ScriptedSession([]);
const { view } = session;
let broken = false;
session.view = () => {
  // Whatever draws reads the view: the third way is a frame that cannot be made.
  if (broken) throw new Error("while drawing");
  return view();
};
setTimeout(() => {
  if (how === "throw") throw new Error("in a timer");
  if (how === "reject") void Promise.reject(new Error("in a promise"));
  broken = how === "draw";
}, 300);

process.exit(
  await startTui({
    session,
    terminal,
    timers: systemTimers,
    theme: { setting: "dark", noColor: false, colorfgbg: undefined },
    workspace: "~/work",
    version: "test",
    explain: () => "",
    framesPerSecond: 20,
    signal: new AbortController().signal,
  }),
);
