import type { ModelState } from "../../src/session/event.ts";
import type { ViewState } from "../../src/session/view.ts";
import { clockText } from "./approvals.ts";
import { cells, fit, pad } from "../text/rows.ts";
import { chatText } from "../text/sanitise.ts";
import type { Theme } from "../theme.ts";

export interface StatusFacts {
  readonly workspace: string;
  /** Of the answer that runs, else of the last one. */
  readonly tokensPerSecond: number | null;
  /** What a key would do now ("again to quit"); takes the place of everything else. */
  readonly hint: string | null;
}

/** One row in inverse. What matters least goes first when the row is narrow. */
export function statusRow(view: ViewState, facts: StatusFacts, width: number, theme: Theme): string {
  if (facts.hint !== null) return theme.inverse(pad(` ${facts.hint}`, width));
  const roomy = row(view, facts, width, (name) => name);
  return theme.inverse(pad(roomy.dropped ? row(view, facts, width, shortName).text : roomy.text, width));
}

function row(
  view: ViewState,
  facts: StatusFacts,
  width: number,
  nameOf: (name: string) => string,
): { readonly text: string; readonly dropped: boolean } {
  const tier = view.live?.tier ?? view.lastReply?.tier ?? "quick";
  const parts: { readonly text: string; readonly keep: number }[] = [
    { text: approvalText(view), keep: 10 },
    { text: markOf(view), keep: 9 },
    { text: modelText(view.models[tier], tier, width, nameOf), keep: 8 },
    { text: speedText(facts.tokensPerSecond), keep: 6 },
    { text: contextText(view), keep: 5 },
    { text: gpuText(view.models[tier]), keep: 2 },
    { text: memoryText(view), keep: 1 },
    { text: chatText(facts.workspace), keep: 3 },
  ].filter((part) => part.text !== "");
  for (let dropped = false; ; dropped = true) {
    const text = ` ${parts.map((part) => part.text).join(" │ ")} `;
    if (cells(text) <= width || parts.length <= 1) return { text, dropped };
    const least = parts.reduce((low, part) => (part.keep < low.keep ? part : low));
    parts.splice(parts.indexOf(least), 1);
  }
}

/** With the time of the one that ends first. */
function approvalText({ approvals }: ViewState): string {
  if (approvals.length === 0) return "";
  const left = Math.min(...approvals.map(({ secondsLeft }) => secondsLeft));
  return `! ${approvals.length} approval${approvals.length === 1 ? "" : "s"} ${clockText(left)} Ctrl-O`;
}

function markOf(view: ViewState): string {
  if (view.store.kind === "stored") return "";
  return view.store.warning === null ? "[private]" : "[not stored]";
}

/** `qwen2.5:7b-instruct-q4_K_M` is `qwen2.5:7b` to anybody who has no two of it. */
const shortName = (name: string) => (name.includes(":") ? name.replace(/-.*$/u, "") : name);

function modelText(state: ModelState, tier: string, width: number, nameOf: (name: string) => string): string {
  const name = "name" in state ? fit(chatText(nameOf(state.name)), Math.max(8, Math.floor(width / 3))) : "";
  switch (state.kind) {
    case "none":
      return "no model (/pull or /import)";
    case "idle":
      return name;
    case "loading": {
      const percent = state.fraction === null ? "" : ` ${Math.floor(state.fraction * 100)}%`;
      const speed = state.bytesPerSecond === null ? "" : ` ${Math.round(state.bytesPerSecond / 1e6)} MB/s`;
      const left = state.secondsLeft === null || state.secondsLeft < 2 ? "" : ` ${Math.ceil(state.secondsLeft)} s left`;
      return `${name}: ${state.phase}${percent}${speed}${left}`;
    }
    case "ready":
      return `${tier} ${name}`;
    case "failed":
      return `${name}: failed`;
  }
}

const speedText = (speed: number | null) =>
  speed === null || speed <= 0 ? "" : `${speed < 10 ? speed.toFixed(1) : Math.round(speed)} t/s`;

const contextText = ({ context }: ViewState) => (context.size > 0 ? `ctx ${context.used}/${context.size}` : "");

function gpuText(state: ModelState): string {
  if (state.kind !== "ready") return "";
  return state.gpuLayers > 0 ? `GPU ${state.gpuLayers}/${state.layers}` : "CPU";
}

function memoryText({ memory }: ViewState): string {
  const bytes = memory.hostBytes + memory.engineBytes;
  return bytes > 0 ? `${Math.round(bytes / 1e6)} MB` : "";
}
