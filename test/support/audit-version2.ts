/** A heart as the version before wrote it: leaves of the log as entries, each session's checkpoint in a register all along. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { KEY_FILE, readKeyFile } from "../../src/heart/key-file.ts";
import { liveHeads } from "../../src/heart/live-heads.ts";
import { rowMac, rowEncoder } from "../../src/heart/mac.ts";
import { bodyHash } from "../../src/heart/rows.ts";
import type { SqlValue } from "../../src/heart/sql.ts";
import { rebuildStreams } from "../../src/heart/streams.ts";
import { CELL, ENTRY, LEAF } from "../../src/heart/tables.ts";
import { sealAside } from "../../src/heart/aside.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { must, placeIn, raw } from "./heart.ts";

const LABEL = [0, "[]", 3, "[]"] as const;

/** `leaves`: "entries" as that version wrote them itself, "aside" as it carries those that a newer one wrote. */
export function asVersion2(folder: string, leaves: "entries" | "aside" = "entries"): void {
  const { crypto, random } = heartDeps();
  const mac = rowMac(crypto, must(readKeyFile(readFileSync(join(placeIn(folder).keysDir, KEY_FILE)), crypto)).key);
  using db = raw(folder);
  db.exec("begin immediate");
  const put = (table: string, names: readonly string[], values: readonly SqlValue[]): void =>
    void db.run(`insert into ${table} (${names.join(", ")}) values (${names.map(() => "?").join(", ")})`, ...values);
  for (const row of db.all(`select ${LEAF.columns.join(", ")} from leaf order by n`)) {
    const { session = null, hlc = null, actor = null, seq = null, leaves: body = null } = row;
    if (leaves === "aside") {
      const bytes = rowEncoder()(LEAF.name, [session, hlc, actor, seq, body]).slice();
      const kept = { actor, seq, tbl: LEAF.name, part: 0, bytes } as const;
      put("aside", ["actor", "seq", "tbl", "part", "bytes", "mac"], [actor, seq, LEAF.name, 0, bytes, sealAside(mac, kept)]);
      continue;
    }
    const salt = random.bytes(16);
    // A beginning has the session's own id.
    const id = String(body).startsWith('{"certificate":') ? session : random.bytes(16);
    const columns = [id, "audit", session, hlc, actor, seq, ...LABEL, bodyHash(salt, String(body), crypto)];
    put("entry", [...ENTRY.columns, "mac"], [...columns, mac.seal(ENTRY.name, columns)]);
    db.run("insert into entry_body (n, salt, body) values (last_insert_rowid(), ?, ?)", salt, body);
  }
  if (leaves === "entries") {
    for (const { session, actor, note } of liveHeads(db, mac)) {
      const seq = Number(db.get("select seq from vv where actor = ?", actor)?.["seq"]) + 1;
      db.run("update vv set seq = ? where actor = ?", seq, actor);
      const columns = ["audit", session, note, 1, actor, seq, ...LABEL];
      put("cell", [...CELL.columns, "mac"], [...columns, mac.seal(CELL.name, columns)]);
    }
    db.exec("delete from meta where k = 'audit'");
  }
  db.exec("delete from meta where k >= 'head:' and k < 'head;'; delete from leaf");
  rebuildStreams(db, mac);
  db.exec("drop table leaf; pragma user_version = 2; commit");
}
