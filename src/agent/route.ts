import type { ModelTier } from "../lib/message.ts";
import type { Placement, PlannedModel } from "../models/port.ts";

export interface Route {
  readonly tier: ModelTier;
  readonly model: PlannedModel;
  /** One clause for the record and for `--verbose`. */
  readonly reason: string;
}

/** Longer prompts are tasks: a quick chat seldom needs more words. */
const QUICK_MAX_CHARACTERS = 280;
const ACTION_WORDS =
  /\b(analy[sz]e|build|calculate|compare|convert|debug|design|draft|explain|extract|fix|implement|outline|plan|program|prove|refactor|review|rewrite|solve|summari[sz]e|translate|write)\b/iu;

/**
 * Chooses the model tier for a prompt. Rules instead of a model's own judgement: they cost nothing, can be explained in a
 * clause, and a prompt cannot talk them into anything worse than the other model.
 */
export function route(prompt: string, placement: Placement): Route | null {
  const { quick, task } = placement;
  if (quick === null || task === null) {
    const only = quick ?? task;
    return only === null ? null : { tier: quick === null ? "task" : "quick", model: only, reason: "the only model" };
  }
  const verdict = classify(prompt);
  if (quick.path === task.path) return { tier: verdict.tier, model: task, reason: `one model serves both tiers (${verdict.reason})` };
  return { tier: verdict.tier, model: verdict.tier === "quick" ? quick : task, reason: verdict.reason };
}

function classify(prompt: string): { readonly tier: ModelTier; readonly reason: string } {
  if (prompt.length > QUICK_MAX_CHARACTERS) return { tier: "task", reason: `a prompt of ${prompt.length} characters` };
  if (prompt.includes("```")) return { tier: "task", reason: "a prompt with code" };
  const action = ACTION_WORDS.exec(prompt);
  if (action) return { tier: "task", reason: `the word “${action[0].toLowerCase()}”` };
  return { tier: "quick", reason: "a short question" };
}
