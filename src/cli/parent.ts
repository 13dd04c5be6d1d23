import { defineCommand, JSON_OPTION } from "./command.ts";
import { PASSPHRASE_OPTION } from "./asking-options.ts";

const STICK = {
  ...JSON_OPTION,
  heart: { type: "string", value: "FILE", describe: "Another heart than the one beside the program" },
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
  ],
});
