import { defineCommand, JSON_OPTION } from "./command.ts";

export const doctorCommand = defineCommand({
  name: "doctor",
  describe: "Check this host and this stick, with the fix for what is wrong",
  group: "This stick",
  about: [
    "Each line is ok, a warning or broken. The exit code is 0 when nothing is broken, else that of the first broken line. Nothing is changed.",
  ],
  options: { ...JSON_OPTION, heart: { type: "string", value: "FILE", describe: "Another heart than the one beside the program" } },
  examples: [["noctem doctor", "when something does not work, and on a new host"]],
  run: async (args, io) => await (await import("./doctor-run.ts")).runDoctor(args, io),
});
