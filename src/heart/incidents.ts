import * as v from "valibot";
import type { Millis } from "../lib/brand.ts";
import { BOTTOM, type Label } from "../lib/label.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { getCell, putCell } from "./cells.ts";
import { millisOf, type Hlc } from "./hlc.ts";
import type { HeartError } from "./port.ts";
import type { SqlRow, SqlValue } from "./sql.ts";
import { INCIDENT, Namespace } from "./tables.ts";
import { transactIn, type TypedStore } from "./typed-store.ts";

/** 0 a note, 1 unusual, 2 a warning, 3 something was refused that should not have been tried, 4 an attack. */
export type Severity = 0 | 1 | 2 | 3 | 4;

/** What a parent should know of. Counted, so that copies add up and none is lost; the newest detail is kept beside the count. */
export interface Incident {
  readonly kind: string;
  readonly severity: Severity;
  readonly count: number;
  readonly lastAt: Millis;
  readonly detail: string | null;
  /** How many of them a person has seen. */
  readonly acknowledged: number;
}

export interface HeartIncidents {
  count(kind: string, severity: Severity, detail?: string, label?: Label): Result<void, HeartError>;
  /** The most severe first, then the newest. */
  list(): readonly Incident[];
  /** How many counters are left out because they are not what was written. */
  damaged(): number;
  /** Says of all that were counted so far that a person has seen them. */
  acknowledge(kind: string, severity: Severity): Result<void, HeartError>;
}

const NAMES = [...INCIDENT.columns, "mac"];
const PUT = `insert or replace into incident (${NAMES.join(", ")}) values (${NAMES.map(() => "?").join(", ")})`;

export function heartIncidents(store: TypedStore): HeartIncidents {
  const { db, mac } = store;
  const keyOf = (kind: string, severity: number, name: string): string => `${kind}.${severity}.${name}`;
  const attribute = (kind: string, severity: number, name: string): string | null => {
    const cell = getCell(db, mac, Namespace.INCIDENT, keyOf(kind, severity, name));
    return cell === null || cell === "damaged" ? null : cell.value;
  };
  const isSealed = (row: SqlRow): boolean =>
    mac === null ||
    mac.verify(
      INCIDENT.name,
      INCIDENT.columns.map((name) => row[name] ?? null),
      row["mac"] ?? null,
    );
  const rows = (): readonly SqlRow[] => db.all(`select ${NAMES.join(", ")} from incident order by kind, severity`);
  const list = (): readonly Incident[] => {
    const all = new Map<string, Incident>();
    for (const row of rows().filter(isSealed)) {
      const [kind, severity] = [String(row["kind"]), Number(row["severity"]) as Severity];
      const before = all.get(keyOf(kind, severity, ""));
      const lastAt = millisOf(Number(row["hlc"]) as Hlc);
      all.set(keyOf(kind, severity, ""), {
        kind,
        severity,
        count: (before?.count ?? 0) + Number(row["count"]),
        lastAt: before === undefined || before.lastAt < lastAt ? lastAt : before.lastAt,
        detail: before?.detail ?? attribute(kind, severity, "detail"),
        acknowledged: before?.acknowledged ?? countOf(attribute(kind, severity, "acknowledged")),
      });
    }
    return [...all.values()].sort((a, b) => b.severity - a.severity || b.lastAt - a.lastAt);
  };
  return {
    count: (named, severity, detail, label = BOTTOM) =>
      transactIn(store, (stamps) => {
        const kind = named.toWellFormed();
        const own = db.get(
          "select actor, seq, hlc, count from incident where kind = ? and severity = ? and actor = ?",
          kind,
          severity,
          stamps.actor,
        );
        stamps.replaced(own);
        const hlc = stamps.stamp(Number(own?.["hlc"] ?? 0) as Hlc | 0);
        const columns: SqlValue[] = [kind, severity, Number(own?.["count"] ?? 0) + 1, hlc, stamps.actor, stamps.seq()];
        db.run(PUT, ...columns, store.sealing().seal(INCIDENT.name, columns));
        if (detail !== undefined) {
          putCell(db, store.sealing(), stamps, { ns: Namespace.INCIDENT, key: keyOf(kind, severity, "detail"), value: detail, label });
        }
        return ok(undefined);
      }),
    list: () => store.reading(list, []),
    damaged: () => store.reading(() => rows().filter((row) => !isSealed(row)).length, 0),
    acknowledge: (named, severity) =>
      transactIn(store, (stamps) => {
        const kind = named.toWellFormed();
        const incident = list().find((entry) => entry.kind === kind && entry.severity === severity);
        if (incident === undefined) return err({ kind: "not-found", what: kind });
        const key = keyOf(kind, severity, "acknowledged");
        putCell(db, store.sealing(), stamps, { ns: Namespace.INCIDENT, key, value: String(incident.count), label: BOTTOM });
        return ok(undefined);
      }),
  };
}

/** Written by `acknowledge`, or by an import: what is no number says that nothing was seen. */
const Count = v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number));
function countOf(text: string | null): number {
  const parsed = v.safeParse(Count, text);
  return parsed.success ? parsed.output : 0;
}
