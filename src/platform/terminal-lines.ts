import { createInterface } from "node:readline";

/** Lines from standard input, edited by the terminal itself: nothing is drawn. Ends with the input. */
export function terminalLines(): AsyncIterable<string> {
  return createInterface({ input: process.stdin, terminal: false });
}
