import { defineCommand, JSON_OPTION } from "./command.ts";
import { PASSPHRASE_OPTION } from "./asking-options.ts";

const STICK = {
  ...JSON_OPTION,
  heart: { type: "string", value: "FILE", describe: "Another heart than the one beside the program" },
} as const;

const KEY = {
  key: { type: "string", value: "FILE", describe: "The secret half of the parent's key, where it is not on this stick" },
} as const;

export const parentCommand = defineCommand({
  name: "parent",
  describe: "The parent's key: who supervises this stick, and what needs their word",
  group: "Skills",
  about: [
    "A parent is the person who supervises. Their key signs what is laid over the policy and countersigns the log; with it set, what has to be approved at the console needs their passphrase.",
    "The secret half is only ever in a file under a passphrase. Whoever forgets the passphrase makes another key.",
  ],
  examples: [
    ["noctem parent keygen", "make the key on this stick"],
    [
      "noctem parent keygen --out /media/mine/parent.key",
      "make it elsewhere; then, on the stick: noctem init --parent-key /media/mine/parent.key.pub",
    ],
  ],
  commands: [
    defineCommand({
      name: "keygen",
      describe: "Make a parent's key under a passphrase",
      about: [
        "Without --out it is this stick's parent from then on. With --out nothing here changes: the file is the secret half, FILE.pub the public one, which noctem init --parent-key FILE.pub sets.",
      ],
      options: {
        ...STICK,
        ...PASSPHRASE_OPTION,
        out: { type: "string", value: "FILE", describe: "Where the secret half goes, instead of this stick's keys" },
        name: { type: "string", value: "NAME", describe: "Stands beside every signature (default: noctem-parent)" },
      },
      run: async (args, io) => await (await import("./parent-run.ts")).keygen(args, io),
    }),
    defineCommand({
      name: "status",
      describe: "Whether this stick has a parent, and which key it is",
      options: STICK,
      run: async (args, io) => (await import("./parent-run.ts")).parentStatus(args, io),
    }),
    defineCommand({
      name: "pin",
      describe: "Set a PIN that approves for minutes and never opens the key",
      about: [
        "It takes the key's passphrase to set one. After three wrong tries each further one has to wait longer, after ten the PIN is dead. Whoever holds the stick can try it on a computer of their own: six digits last days there, not years.",
      ],
      options: {
        ...STICK,
        ...KEY,
        ...PASSPHRASE_OPTION,
        "pin-fd": {
          type: "number",
          value: "N",
          describe: "Read the PIN from this file descriptor",
          range: { min: 0, max: 1023, integer: true },
        },
      },
      run: async (args, io) => await (await import("./parent-door-run.ts")).setPin(args, io),
    }),
    defineCommand({
      name: "unlock",
      describe: "Let approvals on this computer pass without asking the parent, for minutes",
      options: {
        ...STICK,
        ...PASSPHRASE_OPTION,
        minutes: { type: "number", value: "N", describe: "How long (default 5, at most 60)", range: { min: 1, max: 60, integer: true } },
      },
      run: async (args, io) => await (await import("./parent-door-run.ts")).unlock(args, io),
    }),
    defineCommand({
      name: "lock",
      describe: "End that at once",
      options: STICK,
      run: async (args, io) => await (await import("./parent-door-run.ts")).lock(args, io),
    }),
    defineCommand({
      name: "history",
      describe: "What was asked and answered, granted and refused, and what happened to the key",
      options: {
        ...STICK,
        limit: { type: "number", value: "N", describe: "At most N (default 30)", range: { min: 1, max: 1000, integer: true } },
      },
      run: async (args, io) => await (await import("./parent-door-run.ts")).history(args, io),
    }),
    defineCommand({
      name: "health",
      describe: "What a parent looks at first; ends with 9 where something needs them",
      options: STICK,
      run: async (args, io) => await (await import("./parent-door-run.ts")).health(args, io),
    }),
    defineCommand({
      name: "sign-policy",
      describe: "Sign what a parent lays over the policy, and put it in force; one that says nothing lifts what was there",
      positionals: { file: { describe: "the overlay as JSON, without a signature", required: true } },
      options: {
        ...STICK,
        ...KEY,
        ...PASSPHRASE_OPTION,
        out: { type: "string", value: "FILE", describe: "Write it there instead of onto this stick" },
      },
      run: async (args, io) => await (await import("./parent-door-run.ts")).signPolicy(args, io),
    }),
    defineCommand({
      name: "report",
      describe: "What was done, refused and approved, from checked entries alone",
      options: {
        ...STICK,
        anchor: { type: "string", value: "FILE", describe: "What noctem audit anchor wrote earlier and was kept elsewhere" },
        "parent-key": { type: "string", value: "FILE", describe: "The parent's public key" },
        days: { type: "number", value: "N", describe: "Only the last N days", range: { min: 1, max: 36_500, integer: true } },
        html: { type: "string", value: "FILE", describe: "Into this new file, for a browser without a network" },
      },
      examples: [["noctem parent report --html report.html", "one file that anybody can read"]],
      run: async (args, io) => (await import("./audit-report-run.ts")).report(args, io),
    }),
    defineCommand({
      name: "cosign",
      describe: "Check the log, and countersign its heads with the parent's key",
      about: [
        "A copy of the heart can then be checked anywhere with nothing but the parent's public key: noctem audit verify --parent-key FILE.",
      ],
      options: {
        ...STICK,
        ...PASSPHRASE_OPTION,
        ...KEY,
        file: { type: "string", value: "FILE", describe: "Also into this new file, to be kept elsewhere as an anchor" },
      },
      run: async (args, io) => await (await import("./parent-cosign-run.ts")).cosignLog(args, io),
    }),
  ],
});
