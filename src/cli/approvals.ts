import { PASSPHRASE_OPTION } from "./asking-options.ts";
import { defineCommand, JSON_OPTION } from "./command.ts";

const STICK = {
  ...JSON_OPTION,
  heart: { type: "string", value: "FILE", describe: "Another heart than the one beside the program" },
} as const;
const ID = { id: { describe: 'of "noctem approvals list"; its first digits are enough', required: true } } as const;
const WORKSPACE = {
  workspace: { type: "string", value: "DIR", describe: "The folder that it holds for (default: the current one)" },
} as const;

export const approvalsCommand = defineCommand({
  name: "approvals",
  describe: "Questions that wait for an answer, and what is allowed for good",
  group: "Skills",
  about: [
    "A call that was made with --approvals wait=SECONDS leaves its question here. Whoever answers first decides; without an answer in time it is a no, and every answer is good once.",
  ],
  examples: [
    ["noctem bark run --approvals wait=300 shell make", "in one terminal"],
    ["noctem approvals list", "in another"],
  ],
  commands: [
    defineCommand({
      name: "list",
      describe: "What waits, and what was decided within a day",
      options: { ...STICK, open: { type: "boolean", describe: "Only what still waits" } },
      run: async (args, io) => (await import("./approvals-run.ts")).listQuestions(args, io),
    }),
    defineCommand({
      name: "show",
      describe: "A question as it was asked, whole",
      positionals: ID,
      options: STICK,
      run: async (args, io) => (await import("./approvals-run.ts")).showQuestion(args, io),
    }),
    defineCommand({
      name: "allow",
      describe: "Show it and ask: a yes is typed on the terminal, and no option gives it",
      positionals: ID,
      options: STICK,
      run: async (args, io) => await (await import("./approvals-run.ts")).allowQuestion(args, io),
    }),
    defineCommand({
      name: "deny",
      describe: "Say no, without more ado",
      positionals: ID,
      options: { ...STICK, reason: { type: "string", value: "TEXT", describe: "Why, for the model" } },
      run: async (args, io) => (await import("./approvals-run.ts")).denyQuestion(args, io),
    }),
    defineCommand({
      name: "grants",
      describe: "What is allowed without a question, by a pattern that somebody agreed to",
      about: [
        "A grant names one skill and its arguments word for word; a star stands for one plain piece of a name. It holds in one folder, ends, and is counted. It answers questions and nothing else: what is denied stays denied, and with text from outside in the conversation it does not count.",
        "With a parent only grants count that the parent signed.",
      ],
      commands: [
        defineCommand({
          name: "list",
          describe: "All that were made here, with what is left of them",
          options: { ...STICK, ...WORKSPACE },
          run: async (args, io) => (await import("./grants-run.ts")).listGrants(args, io),
        }),
        defineCommand({
          name: "add",
          describe: "Show a grant in its exact words and make it, once always is typed",
          positionals: {
            pattern: { describe: 'such as "shell make test" or "file_ops operation=write path=notes/*.md content=*"', required: true },
          },
          options: {
            ...STICK,
            ...WORKSPACE,
            ...PASSPHRASE_OPTION,
            key: { type: "string", value: "FILE", describe: "The secret half of the parent's key, where it is not on this stick" },
            days: { type: "number", value: "N", describe: "How long it holds (default 30)", range: { min: 1, max: 365, integer: true } },
            uses: { type: "number", value: "N", describe: "How often (default 100)", range: { min: 1, max: 500, integer: true } },
          },
          run: async (args, io) => await (await import("./grants-run.ts")).addGrant(args, io),
        }),
        defineCommand({
          name: "revoke",
          describe: "End one",
          positionals: { id: { describe: 'of "noctem approvals grants list"; its first digits are enough', required: true } },
          options: { ...STICK, ...WORKSPACE },
          run: async (args, io) => (await import("./grants-run.ts")).revokeGrant(args, io),
        }),
      ],
    }),
  ],
});
