import type { AuditFile, LeafRow } from "../heart/audit-file.ts";
import type { ReadAnchor } from "./anchor.ts";
import { type AuditEntry, certificateText, originOf, parseEntry } from "./entry.ts";
import type { Head } from "./heads.ts";
import { Frontier, leafHash, same, type Sha256 } from "./merkle.ts";
import { type Checkpoint, keyId, openCheckpoint, parseNote } from "./note.ts";
import { judgeVersions } from "./versions.ts";
import type { Verify } from "./verify.ts";

/**
 * The whole log of a heart, checked without any key of the heart's: every leaf's bytes against the trees that were signed, every tree against what later
 * sessions and outside anchors say of it. Two walks over the table of entries; memory grows with the number of sessions, not of entries.
 *
 * Whoever holds the heart's key can seal any row, and whoever holds the stick's key can certify a new session. What they cannot do is to sign for a
 * session that has ended, or to change what a later session or an anchor has committed to.
 */
export interface Finding {
  /**
   * altered: bytes are not those that were signed or committed to. truncated: fewer entries or sessions than that speaks of. fork: two versions of one
   * session, each signed by the session's own key. key: a key that nobody vouches for signed something.
   */
  readonly kind: "altered" | "truncated" | "fork" | "key";
  /** Null where it is about no session. */
  readonly session: string | null;
  readonly seq: number | null;
  /** One sentence. */
  readonly detail: string;
}

/** That a session's first `size` leaves have this root. */
export interface Claim extends Head {
  /** Who says so: "session …", "the anchor", "the parent", "the other heart". */
  readonly by: string;
}

export interface CheckCrypto {
  readonly sha256: Sha256;
  readonly verify: Verify;
}

export interface CheckOptions {
  readonly anchors: readonly ReadAnchor[];
  /** Heads that another heart or the parent vouches for. */
  readonly claims: readonly Claim[];
  readonly onProgress: (done: number, rows: number) => void;
}

export interface Checked {
  readonly heart: string;
  /** The first of them; `count` is of all. */
  readonly findings: readonly Finding[];
  readonly count: number;
  /** Sessions with a finding of their own: what they say is not to be believed. */
  readonly doubtful: ReadonlySet<string>;
  /** What is wrong with each of them, the gravest of its findings by who could have made it. */
  readonly faults: ReadonlySet<Finding["kind"]>;
  readonly entries: number;
  readonly sessions: number;
  /** Payloads that are what was hashed, and those that are gone: forgotten, or taken away. */
  readonly payloads: { readonly sound: number; readonly gone: number };
  /** Sound heads that no other session commits to. */
  readonly heads: readonly Head[];
  readonly sticks: readonly string[];
  /** Entries that no anchor and no claim reaches. */
  readonly unwitnessed: number;
  /** Signed and sound size of each session. */
  readonly signed: ReadonlyMap<string, { readonly checkpoint: Checkpoint; readonly key: string }>;
}

const MOST_FINDINGS = 200;
/** Leaves that came before their predecessors and wait: an order that no writer makes. */
const MOST_EARLY = 50_000;
const MOST_TWICE = 50_000;

/** What one session's findings come to. Whatever a key that nobody vouches for signed, that it did is what is wrong; and a hole is not an end. */
const BY_SESSION: readonly Finding["kind"][] = ["key", "altered", "fork", "truncated"];

type Genesis = Extract<AuditEntry, { kind: "genesis" }>;

interface Session {
  genesis: Pick<Genesis, "key" | "stick" | "heads"> | null;
  /** Null once all that was said of it has been held against it. */
  frontier: Frontier | null;
  next: number;
  hlc: number;
  readonly claims: Claim[];
  early: Map<number, Uint8Array> | null;
  twice: number;
  fault: Finding["kind"] | null;
}

export function checkLog(file: AuditFile, options: CheckOptions, crypto: CheckCrypto): Checked {
  return new LogCheck(file, options, crypto).run();
}

class LogCheck {
  readonly #file: AuditFile;
  readonly #options: CheckOptions;
  readonly #crypto: CheckCrypto;
  readonly #sessions = new Map<string, Session>();
  readonly #findings: Finding[] = [];
  readonly #signed = new Map<string, { readonly checkpoint: Checkpoint; readonly key: string }>();
  readonly #notes: ReturnType<AuditFile["checkpoints"]>;
  readonly #utf8 = new TextEncoder();
  readonly #claimed: Claim[];
  #count = 0;
  #entries = 0;
  #early = 0;
  #sound = 0;
  #gone = 0;

  constructor(file: AuditFile, options: CheckOptions, crypto: CheckCrypto) {
    this.#file = file;
    this.#options = options;
    this.#crypto = crypto;
    this.#notes = file.checkpoints();
    const anchored = options.anchors.flatMap(({ heads }) => heads.map((head): Claim => ({ ...head, by: "the anchor" })));
    this.#claimed = [...anchored, ...options.claims];
  }

  run(): Checked {
    this.#file.beginnings((row) => this.#begin(row));
    for (const claim of this.#claimed) this.#claim(claim);
    for (const { claims } of this.#sessions.values()) claims.sort((a, b) => b.size - a.size);
    this.#file.each((row, done) => this.#leaf(row, done));
    this.#openNotes();
    for (const [id, session] of this.#sessions) this.#close(id, session);
    this.#vouch();
    return this.#result();
  }

  #find(kind: Finding["kind"], session: string | null, seq: number | null, detail: string): void {
    const of = session === null ? undefined : this.#sessions.get(session);
    if (of !== undefined && (of.fault === null || BY_SESSION.indexOf(kind) < BY_SESSION.indexOf(of.fault))) of.fault = kind;
    this.#count++;
    if (this.#findings.length < MOST_FINDINGS) this.#findings.push({ kind, session, seq, detail });
  }

  #session(id: string): Session {
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const frontier = new Frontier(this.#crypto.sha256);
    const made: Session = { genesis: null, frontier, next: 0, hlc: 0, claims: [], early: null, twice: 0, fault: null };
    this.#sessions.set(id, made);
    return made;
  }

  #begin({ session: id, leaf }: LeafRow): void {
    const entry = parseEntry(leaf);
    if (entry?.kind !== "genesis" || entry.session !== id || entry.seq !== 0) return;
    const session = this.#session(id);
    // Of two beginnings the first is taken here; that there are two is found when leaves are counted.
    if (session.genesis !== null) return;
    session.genesis = { key: entry.key, stick: entry.stick, heads: entry.heads };
    if (entry.heart !== this.#file.heart) this.#find("altered", id, 0, "it belongs to another heart");
    const certificate = this.#utf8.encode(certificateText({ heart: entry.heart, session: id, key: entry.key }));
    if (!this.#crypto.verify(Uint8Array.fromHex(entry.stick), certificate, Uint8Array.fromHex(entry.certificate)))
      this.#find("key", id, 0, "its key is not certified by the stick's that it names");
    for (const head of entry.heads) this.#claim({ ...head, by: `session ${id.slice(0, 8)}` });
  }

  /** A session that is not here, or that began under another's name, is missing then. */
  #claim(claim: Claim): void {
    if (claim.size === 0) return this.#find("altered", claim.session, null, `${claim.by} commits to nothing of it, which proves nothing`);
    this.#session(claim.session).claims.push(claim);
  }

  #leaf({ session: id, leaf }: LeafRow, done: number): void {
    this.#entries++;
    if (this.#entries % 5000 === 0) this.#options.onProgress(done, this.#file.rows);
    const session = this.#session(id);
    const entry = parseEntry(leaf);
    if (entry === null) return this.#find("altered", id, null, "one of its leaves is no entry in its one canonical form");
    if (entry.session !== id) return this.#find("altered", id, entry.seq, "an entry of another session is filed under it");
    if ((entry.kind === "genesis") !== (entry.seq === 0)) return this.#find("altered", id, entry.seq, `a ${entry.kind} has no place there`);
    if (entry.kind === "intent" || entry.kind === "outcome") this.#payload(id, entry);
    const hash = leafHash(this.#crypto.sha256, this.#utf8.encode(leaf));
    if (entry.seq < session.next) {
      session.twice++;
      return;
    }
    if (entry.seq > session.next) return this.#wait(id, session, entry.seq, hash);
    // In one session the clock goes on only.
    if (entry.hlc <= session.hlc) this.#find("altered", id, entry.seq, "its time is not after that of the entry before it");
    session.hlc = entry.hlc;
    this.#push(id, session, hash);
    for (let next = session.early?.get(session.next); next !== undefined; next = session.early?.get(session.next)) {
      session.early?.delete(session.next);
      this.#early--;
      this.#push(id, session, next);
    }
  }

  #wait(id: string, session: Session, seq: number, hash: Uint8Array): void {
    if (this.#early >= MOST_EARLY) return this.#find("altered", id, seq, "it stands before entries that should precede it");
    session.early ??= new Map();
    if (session.early.has(seq)) session.twice++;
    else {
      session.early.set(seq, hash);
      this.#early++;
    }
  }

  #payload(id: string, entry: Extract<AuditEntry, { kind: "intent" | "outcome" }>): void {
    if (entry.payload === NO_PAYLOAD) return;
    const sound = this.#file.isPayload(entry.reference, entry.payload);
    if (sound === null) this.#gone++;
    else if (sound) this.#sound++;
    else this.#find("altered", id, entry.seq, "what lies apart from it is not what it was written with");
  }

  #push(id: string, session: Session, hash: Uint8Array): void {
    session.frontier?.push(hash);
    session.next++;
    // Sorted, the smallest last.
    for (let claim = session.claims.at(-1); claim !== undefined && claim.size <= session.next; claim = session.claims.at(-1)) {
      session.claims.pop();
      if (claim.size === session.next && session.frontier !== null && session.frontier.root().toHex() !== claim.root)
        this.#unlike(id, session, claim);
    }
  }

  /** Told once all leaves are known: where two versions stand, the other may be the one that is meant. */
  readonly #unlikes = new Map<string, Claim[]>();
  #unlike(id: string, session: Session, claim: Claim): void {
    void session;
    this.#unlikes.set(id, [...(this.#unlikes.get(id) ?? []), claim]);
  }

  #openNotes(): void {
    const versions = new Map<string, { readonly note: string; readonly actor: number }[]>();
    for (const { key, note, actor } of this.#notes) {
      const [id = "", other] = key.split("/", 2);
      if (!/^[0-9a-f]{32}$/.test(id)) continue;
      const session = this.#session(id);
      if (session.genesis === null) continue;
      const all = versions.get(id) ?? [];
      versions.set(id, [...all, { note, actor }]);
      if (other !== undefined) continue;
      const opened = this.#open(id, note, session.genesis.key);
      if (opened !== null) this.#signed.set(id, { checkpoint: opened, key: session.genesis.key });
    }
    for (const id of this.#file.leftBehind())
      this.#find("altered", id, null, "it has ended, and an earlier checkpoint of it stands beside its last");
    for (const [id, notes] of versions) {
      const session = this.#session(id);
      if (notes.length > 1 || session.twice > 0) this.#versions(id, session, notes);
    }
  }

  #open(id: string, note: string, key: string): Checkpoint | null {
    const origin = originOf(this.#file.heart, id);
    const name = { name: origin, publicKey: Uint8Array.fromHex(key) };
    const opened = openCheckpoint(note, name, this.#crypto.verify, this.#crypto.sha256);
    if (opened !== null && opened.origin === origin) return opened;
    // Signed by the session's key and changed since, or signed by another key?
    const claims = parseNote(note)?.signatures.some(
      (line) => line.name === origin && same(line.bytes.slice(0, 4), keyId(name, this.#crypto.sha256)),
    );
    this.#find(claims === true ? "altered" : "key", id, null, "its checkpoint is not signed by the key that it began with");
    return null;
  }

  /** Entries that stand twice, or a second checkpoint: each signed version has to be found among the rows, whole. */
  #versions(id: string, session: Session, notes: readonly { readonly note: string; readonly actor: number }[]): void {
    if (session.genesis === null) return;
    if (session.twice > MOST_TWICE) return this.#find("altered", id, null, "too many of its entries stand there twice");
    const judged = judgeVersions(this.#file.session(id), notes, { heart: this.#file.heart, session: id }, this.#crypto);
    session.twice = 0;
    session.early = null;
    const claims = [...session.claims, ...(this.#unlikes.get(id) ?? [])];
    session.claims.length = 0;
    this.#unlikes.delete(id);
    for (const { kind, seq, detail } of judged.findings) this.#find(kind, id, seq, detail);
    for (const claim of claims) {
      const holds = judged.roots(claim.size);
      if (holds.length === 0) this.#short(id, claim, judged.longest);
      else if (!holds.includes(claim.root)) this.#other(id, claim);
    }
    session.next = judged.longest;
    session.frontier = null;
  }

  #close(id: string, session: Session): void {
    for (const claim of session.claims) this.#short(id, claim, session.next);
    for (const claim of this.#unlikes.get(id) ?? []) this.#other(id, claim);
    if (session.next === 0 && session.twice === 0 && (session.early?.size ?? 0) === 0) return this.#absent(id, session);
    if (session.genesis === null) return this.#find("altered", id, 0, "its beginning is missing");
    if (session.early !== null && session.early.size > 0)
      return this.#find("altered", id, session.next, `entry ${session.next} is missing, and others follow it`);
    if (session.twice > 0) this.#find("altered", id, null, "an entry stands there twice");
    const checkpoint = this.#signed.get(id)?.checkpoint;
    if (checkpoint === undefined) {
      if (!this.#notes.some(({ key }) => key === id)) this.#find("altered", id, null, "its checkpoint is gone");
      return;
    }
    if (session.frontier === null) return;
    if (checkpoint.size > session.next)
      this.#find("truncated", id, session.next, `${session.next} entries are here of ${checkpoint.size} that were signed`);
    else if (checkpoint.size < session.next)
      this.#find("altered", id, checkpoint.size, `${session.next} entries are here, and ${checkpoint.size} were signed`);
    else if (!same(session.frontier.root(), checkpoint.root)) this.#find("altered", id, null, "its entries are not those that were signed");
  }

  /** Named by somebody, and not here. */
  #absent(id: string, session: Session): void {
    if (session.claims.length === 0 && this.#notes.some(({ key }) => key === id))
      this.#find("truncated", id, 0, "its checkpoint is here, and its entries are not");
  }

  #short(id: string, { by, size }: Claim, found: number): void {
    this.#find(
      "truncated",
      id,
      found,
      found === 0 ? `it is missing, and ${by} saw ${size} entries of it` : `${found} entries are here, and ${by} saw ${size}`,
    );
  }

  #other(id: string, { by, size }: Claim): void {
    this.#find("altered", id, null, `its first ${size} entries are not those that ${by} saw`);
  }

  /** With something from outside, a stick's key has to be known by it, or to be the key of a session that a known one builds on. */
  #vouch(): void {
    const { anchors } = this.#options;
    if (anchors.length === 0) return;
    const sticks = new Set(anchors.flatMap(({ sticks: keys }) => keys));
    const trusted = new Set<string>();
    const open = this.#claimed.map(({ session }) => session);
    const byStick = new Map<string, string[]>();
    for (const [id, { genesis }] of this.#sessions)
      if (genesis !== null) byStick.set(genesis.stick, [...(byStick.get(genesis.stick) ?? []), id]);
    const admit = (stick: string): void => {
      open.push(...(byStick.get(stick) ?? []));
      byStick.delete(stick);
    };
    for (const stick of sticks) admit(stick);
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      const { genesis = null, fault = null } = this.#sessions.get(id) ?? {};
      // One that is not what it was said to be lends nobody its name.
      if (trusted.has(id) || genesis === null || (fault !== null && byStick.has(genesis.stick))) continue;
      trusted.add(id);
      admit(genesis.stick);
      open.push(...genesis.heads.map(({ session }) => session));
    }
    for (const [id, { genesis }] of this.#sessions)
      if (genesis !== null && !trusted.has(id))
        this.#find("key", id, 0, `it is certified by a stick's key that nobody vouches for (${genesis.stick.slice(0, 16)})`);
  }

  #result(): Checked {
    const covered = new Map<string, number>();
    for (const { genesis } of this.#sessions.values())
      for (const { session, size } of genesis?.heads ?? []) covered.set(session, Math.max(size, covered.get(session) ?? 0));
    const heads = [...this.#signed].flatMap(([session, { checkpoint }]) =>
      checkpoint.size > (covered.get(session) ?? 0) ? [{ session, size: checkpoint.size, root: checkpoint.root.toHex() }] : [],
    );
    const sessions = [...this.#sessions].filter(([, { next }]) => next > 0);
    return {
      heart: this.#file.heart,
      findings: this.#findings,
      count: this.#count,
      doubtful: new Set([...this.#sessions].flatMap(([id, { fault }]) => (fault === null ? [] : [id]))),
      faults: new Set([...this.#sessions.values()].flatMap(({ fault }) => (fault === null ? [] : [fault]))),
      entries: this.#entries,
      sessions: sessions.length,
      payloads: { sound: this.#sound, gone: this.#gone },
      heads,
      sticks: [...new Set(sessions.flatMap(([, { genesis }]) => (genesis === null ? [] : [genesis.stick])))].sort(),
      unwitnessed: this.#unwitnessed(),
      signed: this.#signed,
    };
  }

  /** What is claimed, and what its sessions had committed to in turn. */
  #unwitnessed(): number {
    const reached = new Map<string, number>();
    const open: { readonly session: string; readonly size: number }[] = [...this.#claimed];
    for (let head = open.pop(); head !== undefined; head = open.pop()) {
      const before = reached.get(head.session) ?? 0;
      if (head.size <= before) continue;
      reached.set(head.session, head.size);
      if (before === 0) open.push(...(this.#sessions.get(head.session)?.genesis?.heads ?? []));
    }
    return [...this.#sessions].reduce((sum, [id, { next }]) => sum + Math.max(0, next - (reached.get(id) ?? 0)), 0);
  }
}

const NO_PAYLOAD = "0".repeat(64);
