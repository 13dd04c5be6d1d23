import type { ModelSummary } from "../../src/session/event.ts";

/** Why a model that was asked for cannot be used as it is, with the way to it; null where the session may judge. */
export function whyNotUsed(wanted: string, catalogue: readonly ModelSummary[]): string | null {
  const known = catalogue.find((model) => model.name === wanted);
  if (!known && catalogue.length > 0 && !wanted.includes("/")) return `there is no model called ${wanted}; /models lists them`;
  // A path, and a name as long as there is no list, is for the session to judge.
  if (!known || known.state === "ready") return null;
  const way = {
    downloadable: `/pull ${wanted} downloads it`,
    "found-on-host": `/import ${known.path ?? ""} copies it`,
    broken: known.verdict,
  };
  return `${wanted} is not on the stick; ${way[known.state]}`;
}
