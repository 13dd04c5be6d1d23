import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openHeart } from "../../../src/heart/open.ts";
import type { MessageId, Millis } from "../../../src/lib/brand.ts";
import { heartDeps } from "../../../src/platform/heart.ts";
import { sqliteDriver } from "../../../src/platform/sqlite/driver.ts";
import { pairedRatio, summarise } from "../stats.ts";
import { bigHearts } from "../support/heart-big.ts";
import { againstPeers } from "../support/heart-peers.ts";
import type { Row } from "../table.ts";

const WRITES = 200;

export async function heart(): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "noctem-bench-"));
  try {
    return [...acknowledged(folder), ...(await againstPeers()), ...bigHearts(folder)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One acknowledged message against one bare durable commit of as many bytes on the same disk, in turn. */
function acknowledged(folder: string): readonly Row[] {
  using bare = sqliteDriver.open(join(folder, "bare.sqlite"), { create: true, readOnly: false });
  bare.exec(
    "pragma page_size=4096; pragma journal_mode=truncate; pragma synchronous=extra; create table t (id integer primary key, body text) strict",
  );
  const opened = openHeart(heartDeps(), { file: join(folder, "heart.sqlite"), keysDir: join(folder, "keys") }, 0 as Millis);
  if (!opened.ok) throw new Error(opened.error.kind);
  using store = opened.value;
  const session = store.createSession();
  if (!session.ok) throw new Error(session.error.kind);
  const text = "A sentence as people write them, of some length. ".repeat(4);
  const times = { append: [] as number[], bare: [] as number[] };
  let parent: MessageId | null = null;
  for (let write = -20; write < WRITES; write++) {
    const before = performance.now();
    bare.run("insert into t (body) values (?)", text);
    const between = performance.now();
    const label = { c: 2, k: [], i: 3, p: [] } as const;
    const appended = store.append({
      session: session.value,
      parent,
      role: "user",
      spans: [{ kind: "typed", text }],
      label,
      origin: "tui",
      reply: null,
    });
    const after = performance.now();
    if (!appended.ok) throw new Error(appended.error.kind);
    parent = appended.value.id;
    if (write < 0) continue;
    times.bare.push(between - before);
    times.append.push(after - between);
  }
  return [
    { what: "a bare durable commit", unit: "ms", value: summarise(times.bare) },
    { what: "an acknowledged message", unit: "ms", value: summarise(times.append) },
    { what: "message over commit", unit: "×", value: pairedRatio(times.append, times.bare), target: { at: "most", value: 2 } },
  ];
}
