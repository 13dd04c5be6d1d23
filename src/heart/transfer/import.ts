import * as v from "valibot";
import type { Millis } from "../../lib/brand.ts";
import { join as joinLabels, type Label } from "../../lib/label.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { EntryKind } from "../entries.ts";
import { HLC_MAX, hlcOf, millisOf, type Hlc } from "../hlc.ts";
import type { RowMac } from "../mac.ts";
import { withStoredHeart, type StoredHeart, type StoredPlace } from "../open.ts";
import type { HeartError } from "../port.ts";
import type { HeartCrypto, HeartDeps } from "../ports.ts";
import { bodyHash, labelColumns, plainReply, wellFormedSpans, writeBody, writeReply } from "../rows.ts";
import type { SqlDatabase, SqlRow, SqlValue } from "../sql.ts";
import { OVERLAY_STATE, PARENT_STATE } from "../state.ts";
import { CELL, ENTRY, INCIDENT, MESSAGE, Namespace, REDACTION, TASK_DOT, type MergedTable } from "../tables.ts";
import { rebuildTaskOverview } from "../tasks.ts";
import { WritingSession, type Stamps } from "../writer.ts";
import { DataLine, EndLine, FORMAT, FORMAT_VERSION, HeaderLine, type LineOf } from "./format.ts";

export interface ImportReport {
  /** The heart that the file is of, as it says. */
  readonly heart: string;
  readonly added: Readonly<Record<DataLine["type"], number>>;
  /** Lines whose id or key this heart has already. */
  readonly known: number;
  /** Approvals and grants: what somebody allowed in another heart was never allowed in this one. */
  readonly permissions: number;
}

/** A line without its newline, or why it could not be had. */
export type SourceLine = { readonly text: string } | { readonly fault: string };

/** What comes from a file is data: nobody vouches for it here. */
const FROM_OUTSIDE: Label = { c: 0, k: [], i: 0, p: ["import"] };
const REFUSED: ReadonlySet<EntryKind> = new Set(["approval", "grant"]);

/**
 * Adds what an export has and this heart has not, in one transaction: all of it, or nothing. `damaged` naming `source` says which line is wrong.
 *
 * Everything becomes a row of its own here, by a new writing session, with the time that the file gives (never later than now), without
 * integrity, and with "import" among its sources. Messages, tasks and entries get ids of their own, a function of this heart's key and the old
 * id: importing twice adds nothing, importing on two copies and merging shows nothing twice (but counts of incidents, which add up), and no file can aim at an id that some copy of
 * this heart has or will have. Rejected: keeping ids, with which a file could put other words behind an id of yours, and a line that says
 * "forgotten" could erase a message on every copy.
 */
export function importLines(
  deps: HeartDeps,
  place: StoredPlace,
  buildDate: Millis,
  { source, lines }: { readonly source: string; readonly lines: Iterable<SourceLine> },
): Result<ImportReport, HeartError> {
  return withStoredHeart(deps, place, (heart) => {
    const { clock, random, writer, crypto } = deps;
    const writing = new WritingSession(heart.db, { file: place.file, mac: heart.mac, clock, random, buildDate, writer });
    return writing.transact((stamps) => {
      const importer = new Importer(heart, crypto, stamps, hlcOf(clock.now()));
      const read = readLines(lines, (line) => importer.add(line));
      if (!read.ok) return err({ kind: "damaged", path: source, detail: read.error });
      return ok({ heart: read.value.heart, ...importer.report() });
    });
  });
}

const NO_EXPORT = "its first line is not that of an export of Noctem";

/** One line after the other; the error is a sentence that names the line. */
function readLines(lines: Iterable<SourceLine>, add: (line: DataLine) => void): Result<HeaderLine, string> {
  let header: HeaderLine | null = null;
  let end: EndLine | null = null;
  let number = 0;
  let data = 0;
  for (const line of lines) {
    number++;
    if ("fault" in line) return err(header === null ? NO_EXPORT : `line ${number}: ${line.fault}`);
    if (line.text.trim() === "") continue;
    if (end !== null) return err(`line ${number}: something follows its last line`);
    const json = jsonOf(line.text);
    if (json === undefined) return err(header === null ? NO_EXPORT : `line ${number} is not JSON`);
    if (header === null) {
      const first = headerOf(json);
      if (!first.ok) return first;
      header = first.value;
      continue;
    }
    if (typeof json === "object" && json !== null && "type" in json && json.type === "end") {
      const last = v.safeParse(EndLine, json);
      if (!last.success) return err(`line ${number}: ${problemOf(last.issues)}`);
      if (last.output.lines !== data) return err(`it says that it has ${last.output.lines} lines, and has ${data}: some are missing`);
      end = last.output;
      continue;
    }
    const parsed = v.safeParse(DataLine, json);
    if (!parsed.success) return err(`line ${number}: ${problemOf(parsed.issues)}`);
    data++;
    add(parsed.output);
  }
  if (header === null) return err("it is empty");
  return end === null ? err(`it ends after line ${number} without its last line: it was cut off`) : ok(header);
}

function headerOf(json: unknown): Result<HeaderLine, string> {
  const any = v.safeParse(v.object({ format: v.literal(FORMAT), version: v.number() }), json);
  if (!any.success) return err(NO_EXPORT);
  if (any.output.version !== FORMAT_VERSION) {
    return err(`line 1: it is an export of version ${any.output.version}, this program knows ${FORMAT_VERSION}`);
  }
  const header = v.safeParse(HeaderLine, json);
  return header.success ? ok(header.output) : err(`line 1: ${problemOf(header.issues)}`);
}

function problemOf(issues: readonly [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]]): string {
  const path = v.getDotPath(issues[0]);
  return `${path === null ? "" : `${path}: `}${issues[0].message.charAt(0).toLowerCase()}${issues[0].message.slice(1)}`;
}

class Importer {
  readonly #db: SqlDatabase;
  readonly #mac: RowMac;
  readonly #crypto: HeartCrypto;
  readonly #stamps: Stamps;
  readonly #now: Hlc;
  readonly #added: Record<DataLine["type"], number> = { message: 0, shown: 0, task: 0, memory: 0, state: 0, incident: 0, entry: 0 };
  #known = 0;
  #permissions = 0;

  constructor({ db, mac }: StoredHeart, crypto: HeartCrypto, stamps: Stamps, now: Hlc) {
    this.#db = db;
    this.#mac = mac;
    this.#crypto = crypto;
    this.#stamps = stamps;
    this.#now = now;
  }

  add(line: DataLine): void {
    // Another heart's log proves nothing here, and no person would miss it.
    if (line.type === "entry" && line.kind === "audit") return;
    // Another heart's parent is not this one's, and neither is what they laid over the rules.
    if (line.type === "state" && (line.key === PARENT_STATE || line.key.startsWith(OVERLAY_STATE))) return;
    if (line.type === "entry" && REFUSED.has(line.kind)) this.#permissions++;
    else if (this.#take(line)) this.#added[line.type]++;
    else this.#known++;
  }

  report(): Omit<ImportReport, "heart"> {
    return { added: this.#added, known: this.#known, permissions: this.#permissions };
  }

  /** False when it is here already. */
  #take(line: DataLine): boolean {
    switch (line.type) {
      case "message":
        return this.#message(line);
      case "shown":
        return this.#shown(line);
      case "task":
        return this.#task(line);
      case "memory":
        return this.#cell(Namespace.MEMORY, line.key, line.text, line.at, line.label);
      case "state":
        return this.#cell(Namespace.STATE, line.key, line.value, line.at, line.label);
      case "incident":
        return this.#incident(line);
      case "entry":
        return this.#entry(line);
    }
  }

  #message(line: LineOf<"message">): boolean {
    const id = this.#idOf("message", line.id);
    if (this.#messageAt(bytesOf(line.id)) !== null || this.#messageAt(id) !== null) return false;
    const parent = line.parent === null ? null : this.#parent(line.parent);
    // A message stands after the one that it answers, whatever the times in the file say.
    const hlc = Math.max(this.#stamp(line.at), Math.min(Number(parent?.["hlc"] ?? -1) + 1, HLC_MAX));
    const session = parent?.["session"] ?? this.#idOf("session", line.session);
    // What a file calls typed was not typed here.
    const spans = wellFormedSpans(line.spans.map(({ kind, text }) => ({ kind: kind === "typed" ? "pasted" : kind, text })));
    const body = writeBody(spans);
    const salt = this.#mac.seal("import salt", [id]);
    const hash = line.redacted ? this.#crypto.sha256(salt) : bodyHash(salt, body, this.#crypto);
    const reply = writeReply(line.reply === null ? null : plainReply(line.reply));
    const n = this.#put(MESSAGE, {
      id,
      session,
      parent: parent?.["id"] ?? (line.parent === null ? null : this.#idOf("message", line.parent)),
      hlc,
      role: line.role,
      origin: line.origin,
      ...this.#label(line.label),
      reply,
      body_hash: hash,
    });
    if (line.redacted) this.#put(REDACTION, { target: id, hlc });
    else this.#db.run("insert into message_body (n, salt, body) values (?, ?, ?)", n, salt, body);
    this.#db.run(COUNT_MESSAGE, session, hlc, hlc, line.redacted ? 0 : 1);
    return true;
  }

  #shown(line: LineOf<"shown">): boolean {
    const chosen = this.#messageAt(this.#idOf("message", line.message));
    const session = chosen?.["session"];
    if (!(session instanceof Uint8Array) || session.toHex() !== this.#idOf("session", line.session).toHex()) return false;
    if (this.#has(Namespace.LEAF, session.toHex())) return false;
    // A pick counts until something newer is said. Times in the file are milliseconds: of one and the same, the pick is the later.
    const newest = Number(this.#db.get("select last_hlc from session_overview where session = ?", session)?.["last_hlc"] ?? 0) as Hlc;
    const at = this.#stamp(line.at);
    const hlc = millisOf(at) >= millisOf(newest) ? Math.max(at, newest + 1) : at;
    this.#register(Namespace.LEAF, session.toHex(), chosen?.["id"] ?? null, hlc, labelColumns(FROM_OUTSIDE));
    return true;
  }

  #task(line: LineOf<"task">): boolean {
    const elem = this.#idOf("task", line.id);
    const known = (id: Uint8Array): boolean =>
      this.#db.get("select 1 from task_dot where elem = ? limit 1", id) !== null ||
      // It was here, and somebody removed it.
      this.#db.get("select 1 from task_remove where elem = ? limit 1", id) !== null ||
      this.#has(Namespace.TASK, `${id.toHex()}.title`);
    if (known(bytesOf(line.id)) || known(elem)) return false;
    this.#put(TASK_DOT, { elem, hlc: this.#stamp(line.at) });
    for (const [name, { value, at, label }] of Object.entries(line.attributes)) {
      const mapped =
        name === "parent" && typeof value === "string" && /^[0-9a-f]{32}$/.test(value) ? this.#idOf("task", value).toHex() : value;
      this.#cell(Namespace.TASK, `${elem.toHex()}.${name}`, JSON.stringify(mapped ?? null), at, label);
    }
    rebuildTaskOverview(this.#db, elem);
    return true;
  }

  /** Counts add up over copies: what is here under that name already is not counted again. */
  #incident({ kind, severity, count, at, detail, acknowledged }: LineOf<"incident">): boolean {
    if (this.#db.get("select 1 from incident where kind = ? and severity = ? limit 1", kind.toWellFormed(), severity) !== null)
      return false;
    this.#put(INCIDENT, { kind: kind.toWellFormed(), severity, count, hlc: this.#stamp(at) });
    const key = `${kind.toWellFormed()}.${severity}`;
    if (detail !== null) this.#cell(Namespace.INCIDENT, `${key}.detail`, detail, at, FROM_OUTSIDE);
    if (acknowledged > 0) this.#cell(Namespace.INCIDENT, `${key}.acknowledged`, String(Math.min(acknowledged, count)), at, FROM_OUTSIDE);
    return true;
  }

  #entry(line: LineOf<"entry">): boolean {
    const id = this.#idOf("entry", line.id);
    const known = (one: Uint8Array): boolean => this.#db.get("select 1 from entry where id = ?", one) !== null;
    if (known(bytesOf(line.id)) || known(id)) return false;
    const salt = this.#mac.seal("import salt", [id]);
    const body = line.body?.toWellFormed() ?? null;
    const hlc = this.#stamp(line.at);
    const n = this.#put(ENTRY, {
      id,
      kind: line.kind,
      ref: line.ref === null ? null : bytesOf(line.ref),
      hlc,
      ...this.#label(line.label),
      body_hash: body === null ? this.#crypto.sha256(salt) : bodyHash(salt, body, this.#crypto),
    });
    if (body === null) this.#put(REDACTION, { target: id, hlc });
    else this.#db.run("insert into entry_body (n, salt, body) values (?, ?, ?)", n, salt, body);
    return true;
  }

  #cell(ns: Namespace, key: string, value: string, at: string, label: Label): boolean {
    const name = key.toWellFormed();
    // What was forgotten here stays forgotten.
    if (this.#has(ns, name)) return false;
    this.#register(ns, name, value.toWellFormed(), this.#stamp(at), labelColumns(joinLabels(label, FROM_OUTSIDE)));
    return true;
  }

  #register(ns: Namespace, k: string, value: SqlValue, hlc: number, [c, ks, i, p]: ReturnType<typeof labelColumns>): void {
    this.#put(CELL, { ns, k, v: value, hlc, label_c: c, label_k: ks, label_i: i, label_p: p });
  }

  /** Writes a row that is not there yet, with the next dot of this writing session. Answers its local number, if the table has one. */
  #put(table: MergedTable, row: Readonly<Record<string, SqlValue>>): SqlValue {
    const dotted: Record<string, SqlValue> = { ...row, actor: this.#stamps.actor, seq: this.#stamps.seq() };
    const columns = table.columns.map((name) => dotted[name] ?? null);
    const names = [...table.columns, "mac"];
    const insert = `insert into ${table.name} (${names.join(", ")}) values (${names.map(() => "?").join(", ")})`;
    const seal = this.#mac.seal(table.name, columns);
    if (table.merge.kind === "grow" && table.merge.body !== null)
      return this.#db.get(`${insert} returning n`, ...columns, seal)?.["n"] ?? null;
    this.#db.run(insert, ...columns, seal);
    return null;
  }

  #label(label: Label): Readonly<Record<string, SqlValue>> {
    const [c, k, i, p] = labelColumns(joinLabels(label, FROM_OUTSIDE));
    return { label_c: c, label_k: k, label_i: i, label_p: p };
  }

  /** The parent as it is here: under its own id where this heart has it, else as it was imported. */
  #parent(id: string): SqlRow | null {
    return this.#messageAt(bytesOf(id)) ?? this.#messageAt(this.#idOf("message", id));
  }

  #messageAt(id: Uint8Array): SqlRow | null {
    return this.#db.get("select id, session, hlc from message where id = ?", id);
  }

  #has(ns: Namespace, key: string): boolean {
    return this.#db.get("select 1 from cell where ns = ? and k = ?", ns, key) !== null;
  }

  #idOf(kind: string, id: string): Uint8Array {
    return this.#mac.seal("import", [kind, bytesOf(id)]);
  }

  /** A time in the future would stand above whatever is said here for years. */
  #stamp(at: string): Hlc {
    return Math.min(hlcOf(Date.parse(at) as Millis), this.#now) as Hlc;
  }
}

const COUNT_MESSAGE = `insert into session_overview (session, first_hlc, last_hlc, live) values (?, ?, ?, ?)
  on conflict (session) do update set
    first_hlc = min(first_hlc, excluded.first_hlc), last_hlc = max(last_hlc, excluded.last_hlc), live = live + excluded.live`;

const bytesOf = (hex: string): Uint8Array => Uint8Array.fromHex(hex);

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
