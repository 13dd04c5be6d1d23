import { defineCommand, JSON_OPTION } from "./command.ts";
import { PASSPHRASE_OPTION } from "./asking-options.ts";

export const initCommand = defineCommand({
  name: "init",
  describe: "Make the heart, its keys and the settings; set a parent's key",
  group: "Skills",
  about: [
    "The first conversation makes heart and keys as well. What is there is left as it is, so this can be done at any time.",
    "A parent is set once. Another one is a new stick, or a matter between the person and the file keys/parent.pub.",
  ],
  options: {
    ...JSON_OPTION,
    ...PASSPHRASE_OPTION,
    heart: { type: "string", value: "FILE", describe: "Another heart than the one beside the program" },
    "parent-key": { type: "string", value: "FILE", describe: "The public half of a parent's key, made with noctem parent keygen --out" },
    "with-parent": { type: "boolean", describe: "Make a parent's key here, under a passphrase" },
  },
  examples: [
    ["noctem init", "heart, keys, settings"],
    ["noctem init --parent-key /media/mine/parent.key.pub", "with a parent who keeps the key"],
  ],
  run: async (args, io) => await (await import("./init-run.ts")).initStick(args, io),
});
