import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { err, type Result } from "../lib/result.ts";
import { nearest } from "../lib/nearest.ts";
import type { PreparedCall, SkillRefusal } from "../bark/call.ts";
import { short } from "./place.ts";
import type { Skill, SkillContext, ToolDeclaration } from "./types.ts";

/** The skills that a model may call, and the only way from its words to a prepared call. */
export interface Registry {
  readonly names: readonly string[];
  declarations(): readonly ToolDeclaration[];
  /** Parses the arguments by the schema that the model was shown, and prepares the call. */
  prepare(name: string, args: unknown, context: SkillContext): Promise<Result<PreparedCall, SkillRefusal>>;
}

export function registry(skills: readonly Skill[]): Registry {
  const byName = new Map(skills.map((skill) => [skill.name, skill]));
  return {
    names: [...byName.keys()],
    declarations: () =>
      skills.map(({ name, description, arguments: schema }) => {
        const { $schema: _, ...parameters } = toJsonSchema(schema, { errorMode: "ignore" }) as Record<string, unknown>;
        return { name, description, parameters };
      }),
    async prepare(name, args, context) {
      const skill = byName.get(name);
      if (skill === undefined) {
        const near = nearest(name, byName.keys());
        const hint = near === null ? `There are: ${[...byName.keys()].join(", ")}.` : `Is it ${near}?`;
        return err({ kind: "not-found", detail: `There is no skill ${short(name)}. ${hint}` });
      }
      // Half of a surrogate pair is no text: it cannot be shown, hashed or handed to a program as what it is.
      const odd =
        typeof args === "object" && args !== null
          ? Object.entries(args).find(([, value]) => typeof value === "string" && !value.isWellFormed())
          : undefined;
      if (odd !== undefined) return err({ kind: "bad-arguments", detail: `${name}: the argument ${short(odd[0])} is no text.` });
      const parsed = v.safeParse(skill.arguments, args);
      if (!parsed.success) return err({ kind: "bad-arguments", detail: `${name}: ${problem(parsed.issues[0])}` });
      return await skill.prepare(parsed.output, context);
    },
  };
}

function problem(issue: v.BaseIssue<unknown> | undefined): string {
  if (issue === undefined) return "its arguments are not right.";
  const key = v.getDotPath(issue);
  if (issue.type === "strict_object" && issue.expected === "never") return `it takes no argument ${short(key ?? "of that name")}.`;
  if (key === null) return "its arguments are an object with names.";
  if (issue.received === "undefined") return `the argument ${key} is missing.`;
  return `the argument ${key} is ${short(issue.received)}, and should be ${short(issue.expected ?? "something else")}.`;
}
