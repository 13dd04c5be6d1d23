import { defineCommand, JSON_OPTION } from "./command.ts";

const HEART = { heart: { type: "string", value: "FILE", describe: "Another heart than the one beside the program" } } as const;
const ID = { id: { describe: 'of "noctem sessions list"; its first digits are enough', required: true } } as const;

export const sessionsCommand = defineCommand({
  name: "sessions",
  describe: "Conversations in the heart",
  group: "Conversations",
  examples: [
    ["noctem sessions list", "newest first"],
    ["noctem sessions export 3fa9 trip.md", "as Markdown"],
    ["noctem --resume 3fa9", "go on with it"],
  ],
  commands: [
    defineCommand({
      name: "list",
      describe: "List conversations, newest first",
      options: {
        ...JSON_OPTION,
        ...HEART,
        limit: { type: "number", value: "N", describe: "At most N (default 50)", range: { min: 1, max: 100000, integer: true } },
      },
      run: async (args, io) => (await import("./sessions-run.ts")).listSessions(args, io),
    }),
    defineCommand({
      name: "show",
      describe: "Print a conversation",
      positionals: ID,
      options: { ...JSON_OPTION, ...HEART },
      run: async (args, io) => (await import("./sessions-run.ts")).showSession(args, io),
    }),
    defineCommand({
      name: "export",
      describe: "Write a conversation as Markdown, or as JSON with all its branches",
      positionals: { ...ID, file: { describe: "written anew, never overwritten; without it standard output", required: false } },
      options: { ...JSON_OPTION, ...HEART },
      examples: [
        ["noctem sessions export 3fa9 trip.md", "what is shown"],
        ["noctem sessions export 3fa9 --json trip.json", "every message and every branch"],
      ],
      run: async (args, io) => (await import("./sessions-run.ts")).exportSession(args, io),
    }),
    defineCommand({
      name: "delete",
      describe: "Forget a conversation for good",
      about: [
        "The words are erased from the heart and from every copy that is merged with it later. Backups beside the heart are rewritten without them; those that you keep elsewhere are not touched.",
      ],
      positionals: ID,
      options: { ...JSON_OPTION, ...HEART, yes: { type: "boolean", alias: "y", describe: "Do not ask" } },
      run: async (args, io) => await (await import("./sessions-run.ts")).deleteSession(args, io),
    }),
  ],
});
