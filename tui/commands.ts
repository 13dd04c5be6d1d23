import { Fzf } from "fzf";

/** A slash command as /help lists it and Tab completes it. */
export interface SlashCommand {
  readonly name: string;
  /** What stands behind the name, for a person. */
  readonly takes: string;
  readonly describe: string;
}

export const COMMANDS: readonly SlashCommand[] = [
  { name: "help", takes: "", describe: "this list, and the keys" },
  { name: "new", takes: "", describe: "a new conversation" },
  { name: "private", takes: "", describe: "a new conversation that is kept in memory alone" },
  { name: "sessions", takes: "", describe: "go back to an earlier conversation" },
  { name: "retry", takes: "", describe: "another take on the last answer" },
  { name: "edit", takes: "[N]", describe: "ask the last (or Nth last) message of yours in other words" },
  { name: "branch", takes: "[N|back]", describe: "show the next (or Nth) take of the last message that has several" },
  { name: "copy", takes: "[N]", describe: "copy the last (or Nth last) answer" },
  { name: "find", takes: "TEXT", describe: "search the conversation; then n and N go through it" },
  { name: "export", takes: "FILE", describe: "write the conversation as Markdown" },
  { name: "reasoning", takes: "", describe: "show or fold the reasoning" },
  { name: "models", takes: "", describe: "models here and those that can be had" },
  { name: "model", takes: "NAME|auto", describe: "use this model; auto chooses by what fits" },
  { name: "pull", takes: "NAME", describe: "download a model" },
  { name: "import", takes: "FILE", describe: "copy a model that is on this computer" },
  { name: "cancel", takes: "", describe: "stop downloads and copies" },
  { name: "tasks", takes: "", describe: "what runs beside the conversation" },
  { name: "approvals", takes: "", describe: "questions that wait for an answer" },
  { name: "theme", takes: "NAME", describe: "auto, dark, light or none, until you leave" },
  { name: "redraw", takes: "", describe: "draw the screen anew" },
  { name: "quit", takes: "", describe: "leave" },
];

export type Parsed =
  | { readonly kind: "text" }
  | { readonly kind: "command"; readonly name: string; readonly argument: string }
  | { readonly kind: "unknown"; readonly name: string; readonly near: string | null };

/** A draft that begins with a slash and a letter is a command, or a mistake; never a message. `//x` sends `/x`. */
export function parseSlash(draft: string): Parsed {
  const match = /^\/([a-z][a-z-]*)(?:\s+([\s\S]*))?$/u.exec(draft.trim());
  if (!match) return { kind: "text" };
  const [, name = "", argument = ""] = match;
  if (COMMANDS.some((command) => command.name === name)) return { kind: "command", name, argument: argument.trim() };
  return { kind: "unknown", name, near: complete(`/${name}`)[0]?.name ?? null };
}

/** True for one line that is a command and nothing else could be: not even in part a message. */
export const isCommandLine = (text: string): boolean => text.startsWith("/") && !text.includes("\n") && parseSlash(text).kind === "command";

/** Commands that a half-typed one may mean, best first; none once an argument is being typed. */
export function complete(draft: string): readonly SlashCommand[] {
  const match = /^\/([a-z-]*)$/u.exec(draft);
  if (!match) return [];
  const typed = match[1] ?? "";
  if (typed === "") return COMMANDS;
  const starting = COMMANDS.filter((command) => command.name.startsWith(typed));
  if (starting.length > 0) return starting;
  return new Fzf(COMMANDS, { selector: (command) => command.name, limit: 8 }).find(typed).map((entry) => entry.item);
}
