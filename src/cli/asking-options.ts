import type { Options } from "./command.ts";

export const ASKING_OPTIONS = {
  approvals: {
    type: "string",
    value: "deny|prompt|wait=SECONDS",
    describe:
      "What has to be asked about: no at once, asked here, or left for another terminal or the chat to decide (default: prompt on a terminal, else deny)",
  },
  allow: { type: "string", value: "PATTERN", describe: "Allow what would be asked about when it is exactly this, for this run alone" },
} as const satisfies Options;

export const PASSPHRASE_OPTION = {
  "passphrase-fd": {
    type: "number",
    value: "N",
    describe: "Read the passphrase from this file descriptor, up to the end of its line, instead of asking",
    range: { min: 0, max: 1023, integer: true },
  },
} as const satisfies Options;
