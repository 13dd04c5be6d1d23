import { ATTACKS } from "../bark/redteam/attacks.ts";
import { attackOnce } from "../bark/redteam/run.ts";
import { type Attack, type AttackResult, GROUPS } from "../bark/redteam/types.ts";
import { hostArena } from "./bark-redteam-arena.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";

interface RedteamArguments {
  readonly json: boolean | undefined;
  /** Words with commas between: only attacks whose id or group contains one of them. */
  readonly only: string | undefined;
  readonly swaps: number | undefined;
  readonly anew: boolean | undefined;
}

/** Each with a stage of its own. Most of an attack is waiting, so two go on at once; more would measure each other. */
const AT_ONCE = 2;
const SWAPS = 500;

/** Every attack through the real monitor, the real skills and the real cage. */
export async function redteam({ json, only, swaps = SWAPS, anew = false }: RedteamArguments, io: CommandIo): Promise<number> {
  using first = hostArena(io, swaps, anew);
  const { level, detail, fix } = first.cage.host();
  if (level !== "namespaces") {
    const message = `There is no cage here to attack. ${detail} ${fix}`;
    if (json) io.out(`${JSON.stringify({ error: { kind: "no-cage", message, code: ExitCode.NO_CAGE } })}\n`);
    io.err(`noctem: ${message}\n`);
    return ExitCode.NO_CAGE;
  }
  const chosen = chooseAttacks(only);
  if (chosen.length === 0) {
    io.err(`noctem: No attack is called ${only ?? ""}, and no group. There are the groups ${GROUPS.join(", ")}.\n`);
    return ExitCode.USAGE;
  }
  const results = new Map<Attack, readonly AttackResult[]>();
  const waiting = [...chosen];
  const work = async (arena: ReturnType<typeof hostArena>): Promise<void> => {
    for (let attack = waiting.shift(); attack !== undefined && !io.signal.aborted; attack = waiting.shift()) {
      const made = await attackOnce(attack, arena);
      // What was cut short by Ctrl-C says nothing.
      if (io.signal.aborted) return;
      results.set(attack, made);
      for (const result of made)
        if (result.result === "open")
          io.err(`${"\r".repeat(io.stderrIsTerminal ? 1 : 0)}OPEN  ${result.group}: ${result.id}: ${result.reason}\n`);
      if (io.stderrIsTerminal) io.err(`\r${results.size} of ${chosen.length}  ${attack.id.padEnd(40).slice(0, 40)}`);
    }
  };
  const others = Array.from({ length: Math.min(AT_ONCE, chosen.length) - 1 }, () => hostArena(io, swaps, anew));
  try {
    await Promise.all([first, ...others].map(work));
  } finally {
    for (const arena of others) arena[Symbol.dispose]();
    if (io.stderrIsTerminal) io.err("\r\u001b[K");
  }
  const all = chosen.flatMap((attack) => results.get(attack) ?? []);
  if (json) io.out(`${JSON.stringify({ attacks: all })}\n`);
  else for (const line of summary(all)) io.out(`${line}\n`);
  return all.some(({ result }) => result === "open") ? ExitCode.NO_CAGE : ExitCode.DONE;
}

/** Long ones first, so that at the end nobody waits for one alone. */
function chooseAttacks(only: string | undefined): readonly Attack[] {
  const words = only?.split(",").filter((word) => word !== "");
  const chosen = ATTACKS.filter(
    ({ id, group, ...rest }) =>
      words === undefined ||
      words.some(
        (word) => id.includes(word) || group.includes(word) || ("parts" in rest && rest.parts?.some((part) => part.id.includes(word))),
      ),
  );
  const isLong = ({ group }: Attack): number => (group === "resources" || group === "races" ? 0 : 1);
  return [...chosen].sort((a, b) => isLong(a) - isLong(b));
}

const COUNTED = ["held", "open", "simulated", "skipped"] as const;

/** A line a group: attacks that differ, their spellings, and what became of them. */
function summary(results: readonly AttackResult[]): readonly string[] {
  const row = (name: string, of: readonly AttackResult[]): string => {
    const counts = COUNTED.map((wanted) => String(of.filter(({ result }) => result === wanted).length).padStart(10));
    return `${name.padEnd(30)}${String(familiesOf(of)).padStart(8)}${String(of.length).padStart(11)}${counts.join("")}`;
  };
  const skipped = results.filter(({ result }) => result === "skipped");
  return [
    `${"".padEnd(30)}${"attacks".padStart(8)}${"spellings".padStart(11)}${COUNTED.map((name) => name.padStart(10)).join("")}`,
    ...GROUPS.flatMap((group) => {
      const of = results.filter((result) => result.group === group);
      return of.length === 0 ? [] : [row(group, of)];
    }),
    row("all", results),
    ...skipped.map(({ id, reason }) => `skipped: ${id}: ${reason}`),
    ...results.filter(({ result }) => result === "open").map(({ id, reason }) => `OPEN: ${id}: ${reason}`),
  ];
}

const familiesOf = (results: readonly AttackResult[]): number => new Set(results.map(({ group, family }) => `${group}/${family}`)).size;
