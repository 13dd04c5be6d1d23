import { defineCommand, type Options } from "./command.ts";

const ANSWER = "Answer";
const CONVERSATION = "Conversation";
const MODEL = "Model";
const PIPES = "In pipes and scripts";

export const CHAT_OPTIONS = {
  prompt: { type: "string", alias: "p", value: "TEXT", group: ANSWER, describe: "Ask this; standard input, if any, is data beside it" },
  headless: { type: "boolean", group: ANSWER, describe: "Never open the chat; the prompt comes from standard input" },
  plain: {
    type: "boolean",
    group: CONVERSATION,
    describe: "Chat in lines that only grow: for screen readers and simple terminals",
  },
  system: { type: "string", value: "TEXT", group: ANSWER, describe: "System prompt; an empty one sends none" },
  "max-tokens": {
    type: "number",
    value: "N",
    group: ANSWER,
    describe: "End the answer after N tokens",
    range: { min: 1, max: 16777216, integer: true },
  },
  temperature: {
    type: "number",
    value: "N",
    group: ANSWER,
    describe: "0 always takes the likeliest word (default 0.7)",
    range: { min: 0, max: 5 },
  },
  seed: {
    type: "number",
    value: "N",
    group: ANSWER,
    describe: "Replay an answer: the same seed, model and prompt",
    range: { min: 0, max: 2147483647, integer: true },
  },
  "json-schema": { type: "string", value: "FILE", group: ANSWER, describe: "The answer is JSON that follows this schema" },
  timeout: {
    type: "number",
    value: "SECONDS",
    group: ANSWER,
    describe: "Stop after SECONDS and keep what there is; exit code 124",
    range: { min: 0.001, max: 2000000 },
  },
  continue: { type: "boolean", alias: "c", group: CONVERSATION, describe: "Go on with the newest conversation" },
  resume: { type: "string", value: "ID", group: CONVERSATION, describe: "Go on with this one; the first digits of its id are enough" },
  store: { type: "boolean", onByDefault: true, group: CONVERSATION, describe: "Keep nothing: the conversation lives in memory alone" },
  heart: { type: "string", value: "FILE", group: CONVERSATION, describe: "Another heart than the one beside the program" },
  workspace: { type: "string", value: "DIR", group: CONVERSATION, describe: "Read and write files here (default: the current folder)" },
  model: { type: "string", alias: "m", value: "NAME", group: MODEL, describe: 'A model of "noctem models list", or a GGUF file' },
  context: {
    type: "number",
    value: "N",
    group: MODEL,
    describe: "Tokens of context (default: what fits)",
    range: { min: 128, max: 16777216, integer: true },
  },
  threads: {
    type: "number",
    value: "N",
    group: MODEL,
    describe: "Threads (default: measured once on each computer)",
    range: { min: 1, max: 1024, integer: true },
  },
  gpu: { type: "string", value: "auto|off", choices: ["auto", "off"], group: MODEL, describe: "off never uses a GPU (auto, off)" },
  template: { type: "string", value: "FILE", group: MODEL, describe: "Jinja chat template instead of the model's own" },
  output: {
    type: "string",
    alias: "o",
    value: "FORMAT",
    choices: ["text", "json", "stream-json"],
    group: PIPES,
    describe: "text as it streams, json as one object at the end, stream-json one event a line",
  },
  batch: { type: "boolean", group: PIPES, describe: 'Answer JSON lines like {"id": 1, "prompt": "…"} with JSON lines' },
  stdin: {
    type: "string",
    value: "RULE",
    choices: ["auto", "wait", "none"],
    group: PIPES,
    describe: "A silent standard input: auto gives up after 30 s, wait waits, none never reads it",
  },
  thinking: {
    type: "string",
    value: "WHERE",
    choices: ["hide", "stderr"],
    group: PIPES,
    describe: "Reasoning: hide, or stderr as it streams",
  },
  verbose: { type: "boolean", alias: "v", group: PIPES, describe: "Model, tier, GPU layers, threads, workspace and timings on stderr" },
} as const satisfies Options;

/** `noctem` itself: the chat in a terminal, one answer in a pipe. */
export const chatCommand = defineCommand({
  name: "noctem",
  describe: "a private assistant that lives on a USB stick",
  about: [
    'One program, one file of conversations, models beside it. It answers on this computer and uses no network, except for "models pull".',
  ],
  options: CHAT_OPTIONS,
  examples: [
    ["noctem", "talk"],
    ['noctem -p "What is the capital of France?"', "one answer"],
    ['git diff | noctem -p "Write a commit message" > msg', "a pipe as data"],
    ["noctem --headless < question.txt", "a file as the prompt"],
    ["noctem -p … --json-schema s.json -o json | jq .value", "data out of text"],
    ["noctem --batch < questions.jsonl > answers.jsonl", "many, with one model load"],
  ],
  run: async (args, io) => await (await import("./chat-run.ts")).runChat(args, io),
});
