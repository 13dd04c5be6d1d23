import type { ModelState, ModelSummary } from "../../src/session/event.ts";
import type { ViewState } from "../../src/session/view.ts";
import { wrap } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";
import type { Theme } from "../theme.ts";

const MAX_OFFERED = 5;

/** What stands where the conversation will: what is there, what is missing, and what to type. */
export function firstMinuteRows(view: ViewState, width: number, theme: Theme): string[] {
  const ready = view.models.quick.kind !== "none" || view.models.task.kind !== "none";
  const lines = [
    `${theme.strong("Noctem")}: a private assistant. Nothing you type leaves this computer.`,
    "",
    heartLine(view, theme),
    modelLine(view.models.quick, theme),
    "",
    ...(ready ? [] : [...offers(view.catalogue, theme), ""]),
    theme.dim("Enter sends, Alt-Enter or Ctrl-J makes a new line, / lists the commands, Esc stops an answer, Ctrl-C twice leaves."),
  ];
  return lines.flatMap((line) => wrap(line, Math.max(1, width - 2)).map((row) => ` ${row}`));
}

function heartLine({ store }: ViewState, theme: Theme): string {
  if (store.kind === "stored") return `heart  ${theme.added("✓")} what you say is kept on the stick`;
  if (store.warning === null) return `heart  ${theme.info("private:")} this conversation is kept in memory alone`;
  return `heart  ${theme.warning("!")} ${chatText(store.warning)}`;
}

function modelLine(state: ModelState, theme: Theme): string {
  switch (state.kind) {
    case "none":
      return `model  ${theme.warning("none.")} ${chatText(state.hint)}`;
    case "failed":
      return `model  ${theme.danger("✗")} ${chatText(state.name)} does not load`;
    case "ready":
      return `model  ${theme.added("✓")} ${chatText(state.name)}${state.chat ? "" : " (a base model: it continues text)"}`;
    case "idle":
    case "loading":
      return `model  ${theme.info("…")} ${chatText(state.name)}, loading; you can type already`;
  }
}

function offers(catalogue: readonly ModelSummary[], theme: Theme): string[] {
  const found = catalogue.filter((model) => model.state === "found-on-host").slice(0, MAX_OFFERED);
  const others = catalogue.filter((model) => model.state === "downloadable").slice(0, MAX_OFFERED);
  const row = (model: ModelSummary, command: string) =>
    `  ${theme.info(command)}  ${(model.size / 1e9).toFixed(1)} GB, ${chatText(model.verdict)}`;
  return [
    ...(found.length > 0
      ? ["On this computer already:", ...found.map((model) => row(model, `/import ${chatText(model.path ?? model.name)}`)), ""]
      : []),
    ...(others.length > 0 ? ["To download:", ...others.map((model) => row(model, `/pull ${chatText(model.name)}`))] : []),
  ];
}
