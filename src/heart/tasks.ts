import * as v from "valibot";
import type { Millis } from "../lib/brand.ts";
import { BOTTOM, join, type Label } from "../lib/label.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { cellsUnder, putCell } from "./cells.ts";
import { millisOf, type Hlc } from "./hlc.ts";
import type { HeartError } from "./port.ts";
import { transactIn, type TypedStore } from "./typed-store.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "./sql.ts";
import { Namespace, TASK_DOT, TASK_REMOVE } from "./tables.ts";
import type { Stamps } from "./writer.ts";

/**
 * Tasks: an observed-remove set in which adding wins, with attributes that are registers of their own. Two copies may change different
 * attributes of one task, and both changes stand; one may remove what the other works on, and it stays when the other added it again.
 */
export interface Task {
  /** 16 bytes in hex. */
  readonly id: string;
  readonly addedAt: Millis;
  readonly title: string;
  readonly status: TaskStatus;
  /** 0 to 9; the higher, the sooner. */
  readonly priority: number;
  readonly due: Millis | null;
  /** Where it came from: "console", a skill, a plan. */
  readonly source: string;
  readonly plan: string | null;
  readonly result: string | null;
  readonly parent: string | null;
  /** An attribute is not what was written; its default stands here. */
  readonly damaged: boolean;
}

export const TASK_STATUSES = ["queued", "running", "waiting", "done", "failed", "cancelled"] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];
const OPEN: ReadonlySet<TaskStatus> = new Set(["queued", "running", "waiting"]);

export type TaskAttributes = Omit<Task, "id" | "addedAt" | "damaged">;

const ATTRIBUTES = {
  title: v.string(),
  status: v.picklist(TASK_STATUSES),
  priority: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(9)),
  due: v.nullable(v.pipe(v.number(), v.integer())),
  source: v.string(),
  plan: v.nullable(v.string()),
  result: v.nullable(v.string()),
  parent: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))),
} as const;

const DEFAULTS: TaskAttributes = {
  title: "",
  status: "queued",
  priority: 5,
  due: null,
  source: "console",
  plan: null,
  result: null,
  parent: null,
};

export interface HeartTasks {
  add(task: Partial<TaskAttributes> & { readonly title: string }, label?: Label): Result<Task, HeartError>;
  /** Only the attributes named are written. */
  update(id: string, changes: Partial<TaskAttributes>, label?: Label): Result<Task, HeartError>;
  /** Removes what this copy has seen of it. Its attributes stay, in case it is added again. */
  remove(id: string): Result<void, HeartError>;
  /** Adds a task again that was removed, with the attributes it had. */
  restore(id: string): Result<Task, HeartError>;
  get(id: string): Task | null;
  /** By priority, then by due date, then by age. */
  open(limit: number): readonly Task[];
  all(): readonly Task[];
  /** The join of the labels of everything that was written about it: who shows a task shows what it was made of. */
  labelOf(id: string): Label;
}

const insert = (name: string, columns: readonly string[]): string =>
  `insert into ${name} (${[...columns, "mac"].join(", ")}) values (${[...columns, "mac"].map(() => "?").join(", ")})`;
const replace = (name: string, columns: readonly string[]): string =>
  insert(name, columns).replace("insert into", "insert or replace into");
const DOTS = `select ${[...TASK_DOT.columns, "mac"].join(", ")} from task_dot`;
export const OPEN_TASKS = "select elem from task_overview where open = 1 order by priority desc, due is null, due, added limit ?";

export function heartTasks(store: TypedStore): HeartTasks {
  const { db, mac } = store;

  const read = (elem: Uint8Array): Task | null => {
    const dots = db.all(`${DOTS} where elem = ?`, elem).filter(isSealedDot);
    return dots.length === 0 ? null : { id: elem.toHex(), addedAt: millisOf(firstStamp(dots)), ...attributesOf(elem.toHex()) };
  };
  const isSealedDot = (row: SqlRow): boolean =>
    mac === null ||
    mac.verify(
      TASK_DOT.name,
      TASK_DOT.columns.map((name) => row[name] ?? null),
      row["mac"] ?? null,
    );
  const attributesOf = (id: string): TaskAttributes & { readonly damaged: boolean } => {
    const { cells, damaged } = cellsUnder(db, mac, Namespace.TASK, `${id}.`);
    const found: Record<string, unknown> = {};
    let faults = damaged;
    for (const { key, value } of cells) {
      const name = key.slice(id.length + 1);
      if (!isAttribute(name)) continue;
      const parsed = v.safeParse(ATTRIBUTES[name], jsonOf(value));
      if (parsed.success) found[name] = parsed.output;
      else faults++;
    }
    return { ...DEFAULTS, ...found, damaged: faults > 0 };
  };
  const write = (stamps: Stamps, id: string, changes: Partial<TaskAttributes>, label: Label): void => {
    for (const [name, value] of Object.entries(changes)) {
      if (!isAttribute(name) || value === undefined) continue;
      const text = JSON.stringify(typeof value === "string" ? value.toWellFormed() : value);
      putCell(db, store.sealing(), stamps, { ns: Namespace.TASK, key: `${id}.${name}`, value: text, label });
    }
  };
  const addDot = (stamps: Stamps, elem: Uint8Array): void => {
    const before = db.get("select actor, seq, hlc from task_dot where elem = ? and actor = ?", elem, stamps.actor);
    stamps.replaced(before);
    const seq = stamps.seq();
    const columns: SqlValue[] = [elem, stamps.actor, seq, stamps.stamp(Number(before?.["hlc"] ?? 0) as Hlc | 0)];
    db.run(replace(TASK_DOT.name, TASK_DOT.columns), ...columns, store.sealing().seal(TASK_DOT.name, columns));
  };
  const removeDot = (stamps: Stamps, dot: SqlRow): void => {
    const [elem, actor] = [dot["elem"] ?? null, dot["actor"] ?? null];
    stamps.replaced(dot);
    db.run("delete from task_dot where elem = ? and actor = ?", elem, actor);
    const key = [elem, actor, stamps.actor];
    stamps.replaced(db.get("select actor, seq from task_remove where elem = ? and dot_actor = ? and actor = ?", ...key));
    const columns: SqlValue[] = [elem, actor, dot["seq"] ?? null, stamps.stamp(Number(dot["hlc"]) as Hlc), stamps.actor, stamps.seq()];
    db.run(replace(TASK_REMOVE.name, TASK_REMOVE.columns), ...columns, store.sealing().seal(TASK_REMOVE.name, columns));
  };
  /** Runs `work` on a task and returns what it then is. */
  const change = (id: string, work: (stamps: Stamps, elem: Uint8Array) => boolean): Result<Task, HeartError> => {
    const elem = /^[0-9a-f]{32}$/.test(id) ? Uint8Array.fromHex(id) : null;
    if (elem === null) return err({ kind: "not-found", what: id });
    return transactIn(store, (stamps) => {
      if (!work(stamps, elem)) return err({ kind: "not-found", what: id });
      rebuildTaskOverview(db, elem);
      const task = read(elem);
      return task === null ? err({ kind: "not-found", what: id }) : ok(task);
    });
  };

  return {
    add: (task, label = BOTTOM) =>
      change(store.random.bytes(16).toHex(), (stamps, elem) => {
        addDot(stamps, elem);
        write(stamps, elem.toHex(), task, label);
        return true;
      }),
    update: (id, changes, label = BOTTOM) =>
      change(id, (stamps, elem) => {
        if (read(elem) === null) return false;
        write(stamps, id, changes, label);
        return true;
      }),
    remove(id) {
      if (!/^[0-9a-f]{32}$/.test(id)) return err({ kind: "not-found", what: id });
      const elem = Uint8Array.fromHex(id);
      return transactIn(store, (stamps) => {
        // A dot that is not what was written is no task: verification names it, and a remove of it would be one of whatever it claims to be.
        const dots = db.all(`${DOTS} where elem = ?`, elem).filter(isSealedDot);
        if (dots.length === 0) return err({ kind: "not-found", what: id });
        for (const dot of dots) removeDot(stamps, dot);
        rebuildTaskOverview(db, elem);
        return ok(undefined);
      });
    },
    restore: (id) =>
      change(id, (stamps, elem) => {
        if (cellsUnder(db, mac, Namespace.TASK, `${id}.`).cells.length === 0) return false;
        addDot(stamps, elem);
        return true;
      }),
    get: (id) => (/^[0-9a-f]{32}$/.test(id) ? store.reading(() => read(Uint8Array.fromHex(id)), null) : null),
    open: (limit) =>
      store.reading(() => db.all(OPEN_TASKS, limit).flatMap((row) => taskIn(row, read).filter(({ status }) => OPEN.has(status))), []),
    all: () => store.reading(() => db.all("select distinct elem from task_dot order by elem").flatMap((row) => taskIn(row, read)), []),
    labelOf: (id) =>
      store.reading(() => {
        const { cells } = cellsUnder(db, mac, Namespace.TASK, `${id}.`);
        return cells.reduce((label, cell) => join(label, cell.label), BOTTOM);
      }, BOTTOM),
  };
}

function taskIn(row: SqlRow, read: (elem: Uint8Array) => Task | null): readonly Task[] {
  const elem = row["elem"];
  const task = elem instanceof Uint8Array ? read(elem) : null;
  return task === null ? [] : [task];
}

/**
 * What the overview has to say of each task in `dots`. Values that this version does not write stand as their defaults, as they do where a
 * task is read. One statement for any number of tasks: a merge that brings 100,000 changes would spend half its time on them one by one.
 */
const overviewOf = (dots: string): string => {
  const cell = (name: keyof typeof ATTRIBUTES): string => `from cell where ns = 'task' and k = lower(hex(elem)) || '.${name}'`;
  const closed = TASK_STATUSES.filter((status) => !OPEN.has(status)).map((status) => `'"${status}"'`);
  return `select elem, not exists (select 1 ${cell("status")} and v in (${closed.join(", ")})) as open,
    coalesce((select cast(v as integer) ${cell("priority")} and v glob '[0-9]'), ${DEFAULTS.priority}) as priority,
    (select cast(v as integer) ${cell("due")} and case when json_valid(v) then json_type(v) = 'integer' end) as due, min(hlc) as added
    from task_dot ${dots} group by elem`;
};

/**
 * Brings the overview in line with what stands in the file, for one task, for those that a query yields as `elem`, or for all. Seals are
 * checked when a task is read.
 */
export function rebuildTaskOverview(db: SqlDatabase, tasks: Uint8Array | string): void {
  const where = tasks === "all" ? "" : typeof tasks === "string" ? `where elem in (${tasks})` : "where elem = ?";
  const values = typeof tasks === "string" ? [] : [tasks];
  db.run(`delete from task_overview ${where}`, ...values);
  db.run(`insert into task_overview (elem, open, priority, due, added) ${overviewOf(where)}`, ...values);
}

/** Tasks of which the overview says something else than what stands in the file, or says nothing, or which are no longer there. */
export const WRONG_OVERVIEWS = (() => {
  const [stands, is] = ["select elem, open, priority, due, added from task_overview", overviewOf("")];
  return `select elem from (${is} except ${stands}) union select elem from (${stands} except ${is})`;
})();

const isAttribute = (name: string): name is keyof typeof ATTRIBUTES => Object.hasOwn(ATTRIBUTES, name);
const firstStamp = (dots: readonly SqlRow[]): Hlc => Math.min(...dots.map((dot) => Number(dot["hlc"]))) as Hlc;

function jsonOf(text: SqlValue): unknown {
  if (typeof text !== "string") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
