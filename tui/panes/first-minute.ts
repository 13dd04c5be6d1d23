import type { ModelState, ModelSummary } from "../../src/session/event.ts";
import type { ViewState } from "../../src/session/view.ts";
import { cells, fit, pad, sizeText, wrap } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";
import type { Theme } from "../theme.ts";

const MAX_OFFERED = 5;
/** From here on an offer and what is said of it stand on one row. */
const ROOMY = 100;

/** Where things are, what holds a hostile model, and that there may be a parent: three sentences, until something was said. */
const FIRST_TIME =
  "What you say lies in heart.sqlite beside the program and is not encrypted: keep the stick, and a copy of its folder keys/, in a safe place. " +
  "Programs that a model may ask for run in a cage, after a question where they would change anything, and each call stands in a signed log. " +
  "Somebody else can be the one who answers and who checks that log: noctem parent keygen.";

/** What stands where the conversation will: what is there, what is missing, and what to type. */
export function firstMinuteRows(view: ViewState, width: number, theme: Theme): string[] {
  const ready = view.models.quick.kind !== "none" || view.models.task.kind !== "none";
  const room = Math.max(1, width - 2);
  return [
    ...wrap(`${theme.strong("Noctem")}: a private assistant. Nothing you type leaves this computer.`, room),
    "",
    ...labelled("heart", heartLine(view, theme), room),
    ...labelled("model", modelLine(view, theme), room),
    "",
    ...wrap(
      theme.dim("Enter sends, Alt-Enter or Ctrl-J makes a new line, / lists the commands, Esc stops an answer, Ctrl-C twice leaves."),
      room,
    ),
    ...(view.store.first === true ? ["", ...wrap(FIRST_TIME, room)] : []),
    ...(ready ? [] : offers(view.catalogue, room, theme)),
  ].map((row) => ` ${row}`);
}

/** What follows the label stays behind it. */
function labelled(label: string, text: string, width: number): string[] {
  const indent = label.length + 2;
  return wrap(text, Math.max(10, width - indent)).map((row, index) => fit((index === 0 ? `${label}  ` : " ".repeat(indent)) + row, width));
}

function heartLine({ store }: ViewState, theme: Theme): string {
  if (store.kind === "stored") return `${theme.added("✓")}  keys ${theme.added("✓")}  what you say is kept on the stick`;
  if (store.warning === null) return `${theme.info("private:")} this conversation is kept in memory alone`;
  return `${theme.warning("!")} ${chatText(store.warning)}`;
}

function modelLine({ models, catalogue }: ViewState, theme: Theme): string {
  const state: ModelState = models.quick.kind === "none" ? models.task : models.quick;
  switch (state.kind) {
    case "none": {
      // The hint speaks of commands of the shell where there simply is no model yet; here there are shorter ways.
      const broken = catalogue.some((model) => model.state === "ready" || model.state === "broken");
      if (broken && state.hint !== "") return `${theme.warning("none.")} ${chatText(state.hint)}`;
      return `${theme.warning("none.")} ${theme.info("/pull NAME")} downloads one, ${theme.info("/import FILE")} copies one that is on this computer.`;
    }
    case "failed":
      return `${theme.danger("✗")} ${chatText(state.name)} does not load; /models lists the others`;
    case "ready":
      return `${theme.added("✓")}  ${chatText(state.name)}${state.chat ? "" : " (a base model: it continues text)"}`;
    case "idle":
    case "loading":
      return `${theme.info("…")}  ${chatText(state.name)}, loading; you can type already`;
  }
}

function offers(catalogue: readonly ModelSummary[], width: number, theme: Theme): string[] {
  const found = catalogue.filter((model) => model.state === "found-on-host").slice(0, MAX_OFFERED);
  const others = catalogue.filter((model) => model.state === "downloadable").slice(0, MAX_OFFERED);
  return [
    ...offered("On this computer already:", found, (model) => `/import ${model.path ?? model.name}`, width, theme),
    ...offered("To download:", others, (model) => `/pull ${model.name}`, width, theme),
  ];
}

function offered(
  title: string,
  models: readonly ModelSummary[],
  commandOf: (model: ModelSummary) => string,
  width: number,
  theme: Theme,
): string[] {
  if (models.length === 0) return [];
  const commands = models.map((model) => chatText(commandOf(model)));
  const column = Math.min(Math.max(...commands.map(cells)), Math.floor(width / 2));
  const rows = models.flatMap((model, index) => {
    const size = sizeText(model.size).padStart(7);
    const verdict = chatText(model.verdict);
    // A command is there to be typed, so it is not cut for the sake of a column.
    const command = theme.info(commands[index] ?? "");
    if (width >= ROOMY) return [fit(`  ${padTo(command, column)}  ${size}  ${verdict}`, width)];
    return [fit(`  ${padTo(command, column)}  ${size}`, width), theme.dim(fit(`    ${verdict}`, width))];
  });
  return ["", title, ...rows];
}

const padTo = (text: string, width: number) => (cells(text) >= width ? text : pad(text, width));
