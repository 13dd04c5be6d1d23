import { defineCommand } from "./command.ts";

export const completionsCommand = defineCommand({
  name: "completions",
  describe: "Print a script that completes commands and options",
  group: "This stick",
  positionals: { shell: { describe: "your shell", required: true, choices: ["bash", "zsh", "fish"] } },
  examples: [
    ["source <(noctem completions bash)", "in ~/.bashrc"],
    ["noctem completions zsh > ~/.zfunc/_noctem", "a folder of $fpath"],
    ["noctem completions fish | source", "in config.fish"],
  ],
  run: async (args, io) => {
    const [{ completionScript }, { commandTree }] = await Promise.all([import("./completion-scripts.ts"), import("./tree.ts")]);
    io.out(completionScript(args.shell, commandTree()));
    return 0;
  },
});
