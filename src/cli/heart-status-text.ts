import type { HeartFacts } from "../heart/describe.ts";
import type { HeartStatus, Replica } from "../heart/replicas.ts";
import { bytesText } from "./bytes-text.ts";
import { columns } from "./text-table.ts";
import { count, localTime } from "./time-text.ts";

/** Digits shown of an id: enough to tell apart what a person has, and to type. */
export const SHORT_ID = 8;

export interface Around {
  readonly file: string;
  readonly size: number;
  /** The newest of the rotation. */
  readonly backup: { readonly file: string; readonly at: number } | null;
  /** Bytes free where the heart lies; null where nobody knows. */
  readonly free: number | null;
  readonly now: number;
}

export function statusText(status: HeartStatus, facts: HeartFacts, { file, size, free, backup }: Around): string {
  const rows: (readonly [string, string])[] = [
    ["heart", `${file}, ${bytesText(size)}${free === null ? "" : `, ${bytesText(free)} free beside it`}`],
    [
      "replica",
      `${status.replica.slice(0, SHORT_ID)}, ${status.lastWrite === null ? "nothing written yet" : `last write ${localTime(status.lastWrite)}`}`,
    ],
    ["holds", holdings(facts)],
    [
      "conflicts",
      status.conflicts === 0 ? "none" : `${count(status.conflicts, "value")} lost against a concurrent write: noctem heart conflicts`,
    ],
    ["backup", backup === null ? "none yet: noctem heart backup" : `${localTime(backup.at)}, ${backup.file}`],
    ...clockRows(status),
    ...(status.streams.withGaps === 0
      ? []
      : [
          [
            "gaps",
            `${count(status.streams.withGaps, "writing session")} with rows missing since a repair or a restore; a sync with a whole copy fills them in`,
          ] as const,
        ]),
  ];
  return `${columns(rows, ["left", "left"])}\n${replicasText(status.replicas)}`;
}

function holdings(facts: HeartFacts): string {
  const forgotten = facts.forgotten === 0 ? "" : ` (${facts.forgotten} forgotten)`;
  return [
    `${count(facts.messages, "message")}${forgotten} in ${count(facts.conversations, "conversation")}`,
    count(facts.tasks, "task"),
    count(facts.memories, "memory", "memories"),
    ...(facts.entries === 0 ? [] : [count(facts.entries, "log entry", "log entries")]),
    ...(facts.incidents === 0 ? [] : [count(facts.incidents, "incident")]),
  ].join(", ");
}

const FAULTS = {
  behind: "behind what was written before",
  "before-build": "before this program was made",
  ahead: "more than 90 days ahead",
} as const;

function clockRows({ clockFaults, fenced }: HeartStatus): readonly (readonly [string, string])[] {
  const rows: (readonly [string, string])[] = clockFaults.map(({ at, replica, faults }) => [
    "clock",
    `on ${replica.slice(0, SHORT_ID)} about ${localTime(at)} the host's clock was ${faults.map((fault) => FAULTS[fault]).join(" and ")}; it was not followed`,
  ]);
  if (fenced.rows > 0 && fenced.furthest !== null) {
    const one = fenced.rows === 1;
    rows.push([
      "clock",
      `${count(fenced.rows, "row")} ${one ? "is" : "are"} stamped ahead of now${one ? "" : ", the furthest"} at ${localTime(fenced.furthest)}; ${one ? "it was" : "they were"} kept, and your clock was not moved`,
    ]);
  }
  return rows;
}

function replicasText(replicas: readonly Replica[]): string {
  const rows = replicas
    .toSorted((a, b) => Number(b.here) - Number(a.here) || (b.lastWrite ?? 0) - (a.lastWrite ?? 0))
    .map((replica) => [
      replica.id.slice(0, SHORT_ID),
      replica.label === "" ? "-" : replica.label,
      replica.host === "" ? "-" : replica.host,
      replica.lastWrite === null ? "nothing written" : localTime(replica.lastWrite),
      stateOf(replica),
    ]);
  return columns([["REPLICA", "STICK", "HOST", "LAST WRITE", "STATE"], ...rows], ["left", "left", "left", "left", "left"]);
}

function stateOf({ here, retired, behind }: Replica): string {
  if (here) return "here";
  if (retired) return "retired";
  if (behind === null) return "never synced with directly";
  return behind === 0 ? "has all that is here" : `had not seen ${count(behind, "writing session")} in full when last synced`;
}

export interface Info extends HeartFacts {
  readonly file: string;
  readonly size: number;
  readonly id: string;
  readonly replica: string;
  readonly keys: boolean;
  readonly rows: Readonly<Record<string, number>>;
}

export function infoText(info: Info): string {
  const span = info.oldest === null || info.newest === null ? "no message yet" : `${localTime(info.oldest)} to ${localTime(info.newest)}`;
  return columns(
    [
      ["file", info.file],
      ["heart id", info.id],
      ["replica", info.replica],
      ["keys", info.keys ? "here, and they fit" : "missing: nothing can be checked or written"],
      ["format", `${info.format}`],
      ["size", `${bytesText(info.size)}: ${count(info.pages, "page")} of ${info.pageSize} bytes, ${info.freePages} of them free`],
      ["messages", span],
      ...Object.entries(info.rows).map(([name, n]) => [`${name} rows`, `${n}`]),
    ],
    ["left", "left"],
  );
}
