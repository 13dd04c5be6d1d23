import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { pairedRatio, summarise } from "../stats.ts";
import { type Row, skipped } from "../table.ts";
import type { Name } from "./heart-contestants.ts";

const CHILD = fileURLToPath(import.meta.resolve("./heart-child.ts"));
const EDITS = 100_000;
const ROUNDS = 3;
/** In turn, so that what drifts on the machine hits all. */
const FIELD = ["heart", "raw", "yjs", "loro", "tinybase"] as const satisfies readonly Name[];
const PEERS = ["yjs", "loro", "tinybase"] as const satisfies readonly Name[];
/** Automerge takes minutes for 100,000 edits, and seconds for these: measured once, beside a heart with as many. */
const FEW_EDITS = 10_000;
/** Milliseconds for one contestant. */
const LIMIT = 90_000;

const Outcome = v.strictObject({
  editMs: v.number(),
  intoA: v.number(),
  intoB: v.number(),
  mb: v.number(),
  baseMb: v.number(),
  kept: v.number(),
  wins: v.number(),
  converged: v.boolean(),
});
type Outcome = v.InferOutput<typeof Outcome>;

/** Two replicas with 100,000 edits each merge both ways: the heart's files, bare SQL on files, and libraries in memory. */
export async function againstPeers(): Promise<readonly Row[]> {
  const outcomes = new Map<Name, Outcome[]>(FIELD.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of FIELD) outcomes.get(name)?.push(await compete(name, EDITS));
  }
  const few = { heart: [await compete("heart", FEW_EDITS)], automerge: [await compete("automerge", FEW_EDITS)] };
  const of = (name: Name): readonly Outcome[] => outcomes.get(name) ?? [];
  return [
    ...FIELD.flatMap((name) => rowsOf(name, "100k", of(name))),
    ...rowsOf("automerge", "10k", few.automerge),
    ...PEERS.map((name) => ratio(name, of("heart"), of(name), 1)),
    ratio("automerge", few.heart, few.automerge, 1),
    ratio("raw", of("heart"), of("raw")),
  ];
}

const TITLES: Record<Name, string> = {
  heart: "heart",
  raw: "raw SQLite",
  yjs: "yjs",
  loro: "loro",
  tinybase: "tinybase",
  automerge: "automerge",
};

function rowsOf(name: Name, edits: string, outcomes: readonly Outcome[]): readonly Row[] {
  const title = `${TITLES[name]}, ${edits}`;
  const [first] = outcomes;
  if (first === undefined) return [skipped(title, "it did not run")];
  const memory = summarise(outcomes.map(({ mb }) => mb));
  const own = `${first.baseMb.toFixed(0)} MB of it before the first line`;
  const kept = `add-wins kept: ${first.kept} of ${first.wins}; ${outcomes.every(({ converged }) => converged) ? "converged" : "NOT converged"}`;
  return [
    { what: `${title}: edits`, unit: "ms", value: summarise(outcomes.map(({ editMs }) => editMs)) },
    { what: `${title}: merge A←B`, unit: "ms", value: summarise(outcomes.map(({ intoA }) => intoA)), note: kept },
    { what: `${title}: merge B←A`, unit: "ms", value: summarise(outcomes.map(({ intoB }) => intoB)) },
    name === "heart"
      ? { what: `${title}: peak memory`, unit: "MB", value: memory, target: { at: "most", value: 150 }, note: own }
      : { what: `${title}: peak memory`, unit: "MB", value: memory, note: own },
  ];
}

/** Both directions together, round by round. */
function ratio(name: Name, heart: readonly Outcome[], other: readonly Outcome[], target?: number): Row {
  const both = ({ intoA, intoB }: Outcome): number => intoA + intoB;
  const of = (pick: (outcome: Outcome) => number) => pairedRatio(heart.map(pick), other.map(pick));
  const ways = `A←B ${of(({ intoA }) => intoA).median.toFixed(2)}, B←A ${of(({ intoB }) => intoB).median.toFixed(2)}`;
  const row: Row = { what: `merge, heart over ${TITLES[name]}`, unit: "×", value: of(both), note: ways };
  return target === undefined ? row : { ...row, target: { at: "most", value: target } };
}

async function compete(name: Name, edits: number): Promise<Outcome> {
  const child = Bun.spawn([process.execPath, CHILD, name, `${edits}`], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT,
    killSignal: "SIGKILL",
  });
  const [printed, complaint] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (child.exitCode !== 0) throw new Error(`${name}: ${child.signalCode ?? complaint.trim().slice(-500)}`);
  return v.parse(Outcome, JSON.parse(printed));
}
