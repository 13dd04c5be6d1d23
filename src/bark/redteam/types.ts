import type { Label } from "../../lib/label.ts";
import type { Reachable } from "../proxy/types.ts";

/** What every attack says of itself. */
interface Common {
  readonly id: string;
  readonly group: Group;
  /** Variations of one idea share a family and count once. Without one the attack is a family of its own. */
  readonly family?: string;
  /** Before it begins: what an earlier call, or a stranger's archive, may have left in the workspace. */
  readonly plant?: readonly Planted[];
}

/**
 * An attack that a program in a cage makes, as a script. Scripts know the places of the stage as variables: `H` a home with secrets on the host, `W`
 * the workspace, `STICK` a folder like Noctem's own, `PORT` a port that listens on the host, `SOCK` a unix socket on the host, `BUS` and `SYSTEM_BUS` two more,
 * `HOST_PID` a process of the host, `MARK` a number that gives away what lives on.
 */
export interface ScriptAttack extends Common {
  readonly language: "sh" | "python3";
  /**
   * Prints OPEN when it sees that it got through what nothing on the host would show. Whatever it prints, the stage is looked at afterwards: secrets
   * in the output, changed files, left processes and connections count as open.
   */
  readonly script: string;
  /** The filters that it runs under; 2 without it. */
  readonly tier?: 1 | 2;
  /** What it may reach of the stage's network. The script prints WORKS when it came to its end and an honest request gets through. */
  readonly reach?: readonly Omit<Reachable, "rule">[];
  /** The script makes several attacks, each in a process of its own, and prints a line for each: its id, and what came of it. */
  readonly parts?: readonly { readonly id: string; readonly family: string }[];
}

/** Command lines as a model would ask for them. None of them may run without somebody's yes. */
export interface LineAttack extends Common {
  readonly lines: readonly string[];
  /** The least that has to become of each of them. */
  readonly wants: "ask" | "deny";
}

/** A call of a skill. What is not reading has to be asked about; what comes back may hold no secret. */
export interface CallAttack extends Common {
  readonly skill: string;
  readonly args: Readonly<Record<string, string | number>>;
  /** The person says yes to everything: what is never allowed is not done all the same. */
  readonly approved?: true;
  /** Of what led to the call; text from outside without it. */
  readonly context?: Label;
  /** A sentence that the model says of it. */
  readonly remark?: string;
  /** It only reads, and may be answered. */
  readonly reads?: true;
}

/** What takes more than a program in a cage: somebody on the host who moves things meanwhile, an approval, Noctem's own end. */
export interface SceneAttack extends Common {
  readonly scene: true;
}

export type Attack = ScriptAttack | LineAttack | CallAttack | SceneAttack;

export const GROUPS = [
  "files",
  "races",
  "protected names",
  "terminal",
  "processes",
  "descriptors",
  "sockets",
  "D-Bus",
  "syscalls",
  "namespaces",
  "resources",
  "proxy and DNS",
  "command parsing",
  "environment",
  "policy and self-modification",
  "approvals",
] as const;
export type Group = (typeof GROUPS)[number];

export type Planted =
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "hard link"; readonly path: string; readonly target: string }
  | { readonly kind: "file"; readonly path: string; readonly text: string };

export interface AttackResult {
  readonly id: string;
  readonly group: Group;
  readonly family: string;
  readonly result: "held" | "open" | "simulated" | "skipped";
  /** What showed it, or why it could not be tried. */
  readonly reason: string;
}
export type Verdict = Pick<AttackResult, "result" | "reason">;

export const HELD: Verdict = { result: "held", reason: "nothing changed" };
export const opened = (reason: string): Verdict => ({ result: "open", reason });

export const sh = (group: Group, id: string, script: string, rest: Partial<ScriptAttack> = {}): ScriptAttack => ({
  id,
  group,
  language: "sh",
  script,
  ...rest,
});
export const py = (group: Group, id: string, script: string, rest: Partial<ScriptAttack> = {}): ScriptAttack => ({
  id,
  group,
  language: "python3",
  script,
  ...rest,
});
export const link = (path: string, target: string): Planted => ({ kind: "link", path, target });
export const file = (path: string, text: string): Planted => ({ kind: "file", path, text });
