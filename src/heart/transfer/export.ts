import type { Millis } from "../../lib/brand.ts";
import type { Label } from "../../lib/label.ts";
import { cellsUnder, getCell, type Cell } from "../cells.ts";
import { heartEntries } from "../entries.ts";
import { millisOf, type Hlc } from "../hlc.ts";
import { heartIncidents } from "../incidents.ts";
import type { HeartDeps } from "../ports.ts";
import { CELL, isSealedCell, readMessage, SELECT_MESSAGE } from "../rows.ts";
import type { SqlRow, SqlValue } from "../sql.ts";
import { Namespace } from "../tables.ts";
import { heartTasks } from "../tasks.ts";
import { typedStore, type TypedStore } from "../typed-store.ts";
import { readMeta } from "../meta.ts";
import { FORMAT, FORMAT_VERSION, type DataLine, type EndLine, type HeaderLine, type LineOf } from "./format.ts";
import type { ReadableHeart } from "./reading.ts";

/** What an export held, by kind of line. */
export interface ExportCounts {
  readonly lines: Readonly<Record<DataLine["type"], number>>;
  /** Rows that are not what was written: not exported, because nobody knows what they said. */
  readonly leftOut: number;
}

/** Rows read at once: memory is bounded by them, and each page is one state of the file. */
const PAGE = 100;

/** A conversation after the other, and in each the messages as they were said. By an index; tests hold it to that. */
export const MESSAGES_AFTER = `${SELECT_MESSAGE} where (m.session, m.hlc, m.id) > (?, ?, ?) order by m.session, m.hlc, m.id limit ?`;

/**
 * Everything a person has in the heart, as the lines of an export, a page at a time; returns the counts.
 *
 * Not one state of the file from end to end: for that the heart would be held, and every other process kept from writing, for as long as
 * whoever reads the lines takes. What is said meanwhile may or may not be in it. Throws `HeartFailure` or `SqlError` when the medium fails.
 */
export function* exportLines(heart: ReadableHeart, deps: HeartDeps, now: Millis): Generator<string, ExportCounts> {
  const { db, mac, id } = heart;
  const store = typedStore({ db, mac, crypto: deps.crypto, random: deps.random, file: "", writing: null });
  const lines: Record<DataLine["type"], number> = { message: 0, shown: 0, task: 0, memory: 0, state: 0, incident: 0, entry: 0 };
  const replica = readMeta(db, "replica")?.["v"];
  let leftOut = 0;

  yield lineOf({
    type: "header",
    format: FORMAT,
    version: FORMAT_VERSION,
    heart: id,
    replica: replica instanceof Uint8Array ? replica.toHex() : "0".repeat(32),
    at: iso(now),
    checked: mac !== null,
  } satisfies HeaderLine);
  for (const page of pages(heart, store, deps)) {
    const text: string[] = [];
    for (const line of page) {
      if (line === null) leftOut++;
      else {
        lines[line.type]++;
        text.push(lineOf(line));
      }
    }
    if (text.length > 0) yield text.join("");
  }
  const all = Object.values(lines).reduce((sum, n) => sum + n, 0);
  yield lineOf({ type: "end", lines: all, leftOut } satisfies EndLine);
  return { lines, leftOut };
}

/** A row that cannot be believed is `null`. */
type Page = Iterable<DataLine | null>;

function* pages(heart: ReadableHeart, store: TypedStore, { crypto }: HeartDeps): Generator<Page> {
  const { db, mac } = heart;
  const tasks = heartTasks(store);
  const entries = heartEntries(store);
  yield* paged(
    (after) => db.all(MESSAGES_AFTER, ...(after ?? [new Uint8Array(), -1, new Uint8Array()]), PAGE),
    ({ session, hlc, id }) => [session, hlc, id],
    (row) => messageLine(row, readMessage(row, mac, crypto)),
  );
  yield* paged(keysOf(store, Namespace.LEAF), keyOf, ({ k }) => shownLine(heart, String(k)));
  yield* paged(
    (after) => db.all("select distinct elem from task_dot where elem > ? order by elem limit ?", ...(after ?? [new Uint8Array()]), PAGE),
    ({ elem }) => [elem],
    ({ elem }) => taskLine(store, tasks.get(elem instanceof Uint8Array ? elem.toHex() : "")),
  );
  yield* paged(keysOf(store, Namespace.MEMORY), keyOf, ({ k }) =>
    cellLine(store, Namespace.MEMORY, k, ({ key, at, label }, text) => ({ type: "memory", key, text, at: iso(at), label })),
  );
  yield* paged(keysOf(store, Namespace.STATE), keyOf, ({ k }) =>
    cellLine(store, Namespace.STATE, k, ({ key, at, label }, value) => ({ type: "state", key, value, at: iso(at), label })),
  );
  yield heartIncidents(store)
    .list()
    .map(({ lastAt, ...incident }) => ({ type: "incident", ...incident, at: iso(lastAt) }));
  yield* paged(
    (after) => db.all("select id from entry where id > ? and kind <> 'audit' order by id limit ?", ...(after ?? [new Uint8Array()]), PAGE),
    ({ id }) => [id],
    ({ id }) => {
      const entry = entries.get(id instanceof Uint8Array ? id.toHex() : "");
      if (entry === null) return null;
      const { id: own, kind, ref, body } = entry;
      return { type: "entry", id: own, kind, ref, body, at: iso(entry.at), label: plain(entry.label) };
    },
  );
}

/** Reads page after page. `place` is where in the order a row stands; a page that ends early is the last. */
function* paged(
  read: (after: SqlValue[] | null) => SqlRow[],
  place: (row: SqlRow) => (SqlValue | undefined)[],
  line: (row: SqlRow) => DataLine | null | "none",
): Generator<Page> {
  for (let after: SqlValue[] | null = null; ;) {
    const rows = read(after);
    yield rows.map(line).filter((each) => each !== "none");
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = place(last).map((value) => value ?? null);
  }
}

const keysOf = (store: TypedStore, ns: Namespace) => (after: SqlValue[] | null) =>
  store.db.all(`select k from cell where ns = ? and k ${after === null ? ">=" : ">"} ? order by k limit ?`, ns, ...(after ?? [""]), PAGE);
const keyOf = ({ k }: SqlRow) => [k];

function messageLine(_: SqlRow, { message, damaged }: ReturnType<typeof readMessage>): LineOf<"message"> | null {
  if (damaged) return null;
  const { id, session, parent, at, role, origin, label, spans, reply, redacted } = message;
  return { type: "message", id, session, parent, at: iso(at), role, origin, label: plain(label), spans: [...spans], reply, redacted };
}

function shownLine({ db, mac }: ReadableHeart, session: string): LineOf<"shown"> | null {
  const row = db.get(CELL, Namespace.LEAF, session);
  const message = row?.["v"];
  if (row === null || !(message instanceof Uint8Array) || !isSealedCell(row, mac)) return null;
  return { type: "shown", session, message: message.toHex(), at: iso(millisOf(Number(row["hlc"]) as Hlc)) };
}

function taskLine({ db, mac }: TypedStore, task: { readonly id: string; readonly addedAt: Millis } | null): LineOf<"task"> | null {
  if (task === null) return null;
  const { cells } = cellsUnder(db, mac, Namespace.TASK, `${task.id}.`);
  const attributes = cells.flatMap(({ key, value, at, label }) =>
    value === null ? [] : [[key.slice(task.id.length + 1), { value: jsonOf(value), at: iso(at), label: plain(label) }] as const],
  );
  return { type: "task", id: task.id, at: iso(task.addedAt), attributes: Object.fromEntries(attributes) };
}

/** What was forgotten is not there to be exported. */
function cellLine(
  { db, mac }: TypedStore,
  ns: Namespace,
  key: SqlValue | undefined,
  make: (cell: Omit<Cell, "label"> & { readonly label: LineOf<"memory">["label"] }, value: string) => DataLine,
): DataLine | null | "none" {
  const cell = getCell(db, mac, ns, String(key));
  if (cell === null || cell === "damaged") return null;
  return cell.value === null ? "none" : make({ ...cell, label: plain(cell.label) }, cell.value);
}

const lineOf = (line: HeaderLine | DataLine | EndLine): string => `${JSON.stringify(line)}\n`;
const iso = (at: Millis): string => new Date(at).toISOString();
const plain = ({ c, k, i, p }: Label): LineOf<"memory">["label"] => ({ c, k: [...k], i, p: [...p] });

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
