import type { Hlc } from "../hlc.ts";
import type { RowMac } from "../mac.ts";
import type { HeartCrypto } from "../ports.ts";
import { equal } from "../mac.ts";
import type { SqlDatabase } from "../sql.ts";
import { digestOf, readStream, streamDigest, VV_COLUMNS, xor, type Stream, type StreamSummary, type StreamSums } from "../streams.ts";
import { listDoubtfulStreams } from "./full.ts";
import { refused, type Source } from "./source.ts";

export interface Stage {
  readonly db: SqlDatabase;
  readonly mac: RowMac;
  readonly crypto: HeartCrypto;
  readonly source: Source;
  /** This heart's own summary, and its file for errors. */
  readonly own: StreamSummary;
  readonly file: string;
  /** Stamps above it are reported and not followed. */
  readonly fence: Hlc;
  /** Both have the same settled streams: only the others can differ. */
  readonly settled: boolean;
  /** The source pruned removes that this heart never saw: dots are compared too. */
  readonly full: boolean;
}

/**
 * The streams of which something is to be taken, or that have to be known whole. `temp.d` lists them: actor, tv (how far this heart has it),
 * low (rows above are taken), sv (how far the source has it), gap (1 when the source itself lacks rows of it).
 *
 * Throws `HeartFailure` when the source's vector is not what its sealed summary says.
 */
export function stageVector(stage: Stage): ReadonlyMap<number, Stream> {
  checkSums(stage);
  checkDigest(stage);
  listStreams(stage);
  if (stage.full) listDoubtfulStreams(stage);
  return readStreams(stage);
}

/**
 * The whole vector, or the part that can differ, must add up to what the sealed summary says. Not a row more is read than it says there are: a
 * page tree may be woven so that walking through it never ends.
 */
function checkSums({ db, source, settled }: Stage): void {
  const { hot, cold } = source.summary;
  const wanted = (name: keyof Omit<StreamSums, "digest">): number => (settled ? hot[name] : hot[name] + cold[name]);
  const from = settled ? "s.vv indexed by vv_hot where cold is null" : "s.vv";
  const row = db.get(
    `select count(*) as streams, sum(seq) as seqs, sum(held) as held, sum(total) as total
      from (select seq, held, total from ${from} limit ?)`,
    wanted("streams") + 1,
  );
  const sound =
    Number(row?.["streams"]) === wanted("streams") &&
    Number(row?.["seqs"]) === wanted("seqs") &&
    Number(row?.["held"]) === wanted("rows") &&
    Number(row?.["total"]) === wanted("total");
  if (!sound) throw unsummed(source);
}

/**
 * Sums hide that one stream was lowered and another raised. Streams that reach equally far in both files cancel out of the digests, so that the
 * seals of the others must make up the difference: the cost is that of what differs.
 */
function checkDigest(stage: Stage): void {
  const { db, mac, source, own, file, settled } = stage;
  const whole = settled
    ? { own: own.hot.digest, theirs: source.summary.hot.digest }
    : { own: digestOf(own), theirs: digestOf(source.summary) };
  const differing = xor(
    digestOfRows(db, mac, differingRows("s", "main", settled)),
    digestOfRows(db, mac, differingRows("main", "s", settled)),
  );
  if (equal(differing, xor(whole.own, whole.theirs))) return;
  if (equal(digestOfRows(db, mac, hotRows("s", settled)), whole.theirs))
    throw refused(file, "its version vector does not add up to its sealed summary");
  throw unsummed(source);
}

const hotRows = (schema: "main" | "s", settled: boolean): string =>
  `${schema}.vv v ${settled ? "indexed by vv_hot where v.cold is null" : "where true"}`;

const differingRows = (schema: "main" | "s", other: "main" | "s", settled: boolean): string =>
  `${hotRows(schema, settled)} and not exists (select 1 from ${other}.vv o where o.actor = v.actor and o.seq is v.seq and o.gap is v.gap)`;

function digestOfRows(db: SqlDatabase, mac: RowMac, from: string): Uint8Array {
  const rows = db.all(`select v.actor as actor, v.seq as seq, v.gap as gap from ${from}`);
  return streamDigest(
    mac,
    rows.map(({ actor, seq, gap }) => ({ actor: Number(actor), seq: Number(seq), gap: gap !== null })),
  );
}

/**
 * A stream with a gap here is taken from its beginning: also from a source that has a gap there itself, for what the two of them lost need not
 * be the same.
 */
function listStreams({ db, settled }: Stage): void {
  db.exec(`drop table if exists temp.d;
    create temp table d (actor integer primary key, tv integer not null, low integer not null, sv integer not null, gap integer)`);
  const from = settled ? "s.vv sv indexed by vv_hot" : "s.vv sv";
  db.run(`insert into temp.d select sv.actor, coalesce(tv.seq, 0), iif(tv.gap = 1, 0, coalesce(tv.seq, 0)), sv.seq, sv.gap
    from ${from} left join main.vv tv on tv.actor = sv.actor
    where ${settled ? "sv.cold is null and" : ""} (sv.seq > coalesce(tv.seq, 0) or tv.gap = 1)`);
}

function readStreams({ db, mac, source }: Stage): ReadonlyMap<number, Stream> {
  const streams = new Map<number, Stream>();
  const columns = [...VV_COLUMNS, "mac"].map((name) => `v.${name}`).join(", ");
  db.each(`select ${columns} from temp.d d cross join s.vv v on v.actor = d.actor`, (row) => {
    const stream = readStream(row, mac);
    if (stream === null) throw refused(source.file, `the version vector of writing session ${String(row["actor"])} was altered`);
    streams.set(stream.actor, stream);
  });
  // A broken tree may show a row to whoever walks by, and hide it from whoever looks for it.
  if (Number(db.get("select count(*) as n from temp.d")?.["n"]) !== streams.size)
    throw refused(source.file, "its version vector is out of order");
  return streams;
}

const unsummed = (source: Source) => refused(source.file, "its version vector does not add up to its sealed summary");
