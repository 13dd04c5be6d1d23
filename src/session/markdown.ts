import { visibleText } from "../lib/message.ts";
import type { ShownMessage } from "./event.ts";

/** The shown path as a Markdown document. Reasoning is left out, forgotten messages are named as such. */
export function toMarkdown(path: readonly ShownMessage[]): string {
  return path
    .map(({ message }) => {
      const who = message.role === "user" ? "You" : message.role === "assistant" ? (message.reply?.model ?? "Noctem") : "System";
      const when = new Date(message.at).toISOString().slice(0, 16).replace("T", " ");
      return `## ${who}, ${when} UTC\n\n${message.redacted ? "*forgotten*" : visibleText(message.spans).trim()}\n`;
    })
    .join("\n");
}
