import { version } from "../../package.json";
import { defineCommand, JSON_OPTION } from "./command.ts";

export const versionLine = (): string => `noctem ${version}`;

export const versionCommand = defineCommand({
  name: "version",
  describe: "The version, and those of what is built in",
  group: "This stick",
  options: JSON_OPTION,
  examples: [["noctem version --json", "for a bug report"]],
  run: async (args, io) => {
    const { versionText } = await import("./version-run.ts");
    io.out(versionText(args.json === true));
    return 0;
  },
});
