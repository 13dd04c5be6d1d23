import { ASKING_OPTIONS } from "./asking-options.ts";
import { defineCommand, JSON_OPTION } from "./command.ts";

const STICK = {
  ...JSON_OPTION,
  heart: { type: "string", value: "FILE", describe: "Another heart than the one beside the program" },
} as const;
const PLACE = {
  ...STICK,
  workspace: { type: "string", value: "DIR", describe: "The folder that skills may work in (default: the current one)" },
} as const;
const CALL = {
  skill: { describe: 'such as shell or file_ops; "noctem bark policy show" lists them', required: true },
  args: {
    describe: "NAME=VALUE for each argument, one JSON object, or the command of shell, the address of web_fetch",
    required: false,
    rest: true,
  },
} as const;

export const barkCommand = defineCommand({
  name: "bark",
  describe: "Skills, the cage that they run in, and what they may do",
  group: "Skills",
  about: [
    "Nothing that a model says is a permission. Every call of a skill is judged by the policy, written into the signed log, asked about where the policy says so, and run in a cage made by the kernel: its own view of the files, no network but the hosts that the call names and the policy lets it reach, limits on time, memory and output.",
    "No option and no variable turns this off.",
  ],
  examples: [
    ["noctem bark doctor", "what this computer can hold a program with"],
    ['noctem bark explain shell "sort names.txt"', "what would be decided, and what the cage would look like"],
    ['noctem bark run shell "ls -la"', "one call, asking on the terminal where it has to"],
    ["noctem bark run web_fetch https://en.wikipedia.org/wiki/USB", "a page of the web as text"],
    ["noctem bark undo", "take back what the last call changed here"],
  ],
  commands: [
    defineCommand({
      name: "doctor",
      describe: "What this computer can hold a program with, and what each tier gets of it",
      about: [
        "Each cage is built and looked at from the inside by a small script that runs in it: network, files, privileges, system calls, limits. Ends with 11 where a cage is missing or does not hold.",
      ],
      options: { ...JSON_OPTION },
      run: async (args, io) => await (await import("./bark-doctor-run.ts")).barkDoctor(args, io),
    }),
    defineCommand({
      name: "explain",
      describe: "Say what would be decided about a call, and show its cage; nothing is run or written",
      positionals: CALL,
      options: PLACE,
      run: async (args, io) => await (await import("./bark-run.ts")).explainCall(args, io),
    }),
    defineCommand({
      name: "run",
      describe: "Take one call through the whole path, asking on the terminal",
      about: [
        'There is no option that answers yes; "r" instead of an answer tries a command on a copy, without a network, shows what it would change, and asks again. Without a terminal a call that has to be asked about ends with code 10, one that is denied with 9.',
      ],
      positionals: CALL,
      options: { ...PLACE, ...ASKING_OPTIONS },
      examples: [
        ["noctem bark run file_ops operation=read path=notes.txt", "arguments by name"],
        [`noctem bark run code_exec '{"language": "python3", "code": "print(6 * 7)"}'`, "arguments as JSON"],
      ],
      run: async (args, io) => await (await import("./bark-run.ts")).runCall(args, io),
    }),
    defineCommand({
      name: "redteam",
      describe: "Attack the cage on this computer, some two hundred ways, and say what held",
      about: [
        "Everything happens on a stage of its own in a temporary folder: a home with made-up secrets, a listener, a socket, a process. Ends with 11 when an attack got through.",
      ],
      options: {
        ...JSON_OPTION,
        only: { type: "string", value: "WORDS", describe: "Only attacks whose name or group contains one of these words (commas between)" },
        swaps: {
          type: "number",
          value: "N",
          describe: "How often a race swaps a name at least (default 500)",
          range: { min: 1, max: 1_000_000, integer: true },
        },
        anew: { type: "boolean", describe: "Build each cage whole, as on a computer where none can stand ready" },
      },
      examples: [["noctem bark redteam --only sockets", "one group"]],
      run: async (args, io) => await (await import("./bark-redteam-run.ts")).redteam(args, io),
    }),
    defineCommand({
      name: "blocked",
      describe: "What was kept from calls lately, and why",
      options: {
        ...PLACE,
        limit: { type: "number", value: "N", describe: "At most N (default 20)", range: { min: 1, max: 1000, integer: true } },
      },
      run: async (args, io) => (await import("./bark-log-run.ts")).listBlocked(args, io),
    }),
    defineCommand({
      name: "pending",
      describe: "What programs want to change and you have not decided yet",
      about: [
        "Some of what a program writes is asked about afterwards: settings by which other programs run code, a change of very many files, a file that you changed meanwhile. Without an answer it waits here, with all its bytes, for 30 days.",
      ],
      commands: [
        defineCommand({
          name: "list",
          describe: "What waits, newest first",
          options: STICK,
          run: async (args, io) => (await import("./bark-pending-run.ts")).listPending(args, io),
        }),
        defineCommand({
          name: "show",
          describe: "Print it whole, as a diff against what stands there now",
          positionals: { id: { describe: 'of "noctem bark pending list"', required: true } },
          options: STICK,
          run: async (args, io) => (await import("./bark-pending-run.ts")).showPending(args, io),
        }),
        defineCommand({
          name: "apply",
          describe: "Show it, ask, and write it; it can be taken back by bark undo",
          positionals: { id: { describe: 'of "noctem bark pending list"', required: true } },
          options: STICK,
          run: async (args, io) => await (await import("./bark-pending-run.ts")).applyPending(args, io),
        }),
        defineCommand({
          name: "discard",
          describe: "Drop it",
          positionals: { id: { describe: 'of "noctem bark pending list"', required: true } },
          options: STICK,
          run: async (args, io) => (await import("./bark-pending-run.ts")).discardPending(args, io),
        }),
      ],
    }),
    defineCommand({
      name: "undo",
      describe: "Take back what a call changed in the workspace",
      about: [
        "One step for each call that wrote. Files that changed since are left alone, and then nothing is taken back. An undo is a step itself and can be undone.",
      ],
      positionals: { step: { describe: 'of "noctem bark undo --list"; without it the newest', required: false } },
      options: { ...PLACE, list: { type: "boolean", describe: "Only list the steps" } },
      run: async (args, io) => await (await import("./bark-log-run.ts")).undoStep(args, io),
    }),
    defineCommand({
      name: "policy",
      describe: "The rules",
      commands: [
        defineCommand({
          name: "show",
          describe: "Print the policy in force, with its hash and that of what a parent laid over it",
          options: { ...JSON_OPTION, heart: PLACE.heart },
          run: async (args, io) => (await import("./bark-policy-run.ts")).showPolicy(args, io),
        }),
        defineCommand({
          name: "check",
          describe: "Check a policy file or a parent's overlay: its form, and every rule against its own examples",
          about: [
            "An overlay is what a parent lays over the policy: policy.json beside the program, signed with the parent's key, whose public half is keys/parent.pub. It can only tighten. While it cannot be used, or was taken away, no skill runs; the parent lifts it by signing one that says nothing.",
          ],
          positionals: { file: { describe: "a policy or an overlay as JSON", required: true } },
          options: { ...JSON_OPTION, heart: PLACE.heart },
          run: async (args, io) => (await import("./bark-policy-run.ts")).checkPolicy(args, io),
        }),
      ],
    }),
  ],
});
