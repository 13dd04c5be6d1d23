import { defineCommand, JSON_OPTION } from "./command.ts";

const NAME = { name: { describe: 'a setting of "noctem config list"', required: true } } as const;

export const configCommand = defineCommand({
  name: "config",
  describe: "Settings in noctem.json",
  group: "This stick",
  about: ["A flag beats the environment (NOCTEM_…) beats noctem.json beats the default."],
  examples: [
    ["noctem config list", "every setting, its value and where it comes from"],
    ["noctem config set temperature 0.2", "from now on"],
    ["noctem config unset temperature", "back to the default"],
  ],
  commands: [
    defineCommand({
      name: "list",
      describe: "Every setting, its value and where it comes from",
      options: JSON_OPTION,
      run: async (args, io) => (await import("./config-run.ts")).listSettings(args, io),
    }),
    defineCommand({
      name: "get",
      describe: "Print the value in force",
      positionals: NAME,
      options: JSON_OPTION,
      run: async (args, io) => (await import("./config-run.ts")).getSetting(args, io),
    }),
    defineCommand({
      name: "set",
      describe: "Write a setting to noctem.json",
      positionals: { ...NAME, value: { describe: "its new value", required: true } },
      options: JSON_OPTION,
      run: async (args, io) => (await import("./config-run.ts")).setSetting(args, io),
    }),
    defineCommand({
      name: "unset",
      describe: "Take a setting out of noctem.json",
      positionals: NAME,
      options: JSON_OPTION,
      run: async (args, io) => (await import("./config-run.ts")).unsetSetting(args, io),
    }),
    defineCommand({
      name: "path",
      describe: "Where noctem.json lies",
      options: JSON_OPTION,
      run: async (args, io) => (await import("./config-run.ts")).settingsPath(args, io),
    }),
  ],
});
