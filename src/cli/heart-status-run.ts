import { statSync } from "node:fs";
import { join } from "node:path";
import { forTerminal } from "../headless/terminal-text.ts";
import { listBackups } from "../heart/care/rotate.ts";
import { type HeartFacts, heartFacts } from "../heart/describe.ts";
import { type HeartStatus, heartStatus } from "../heart/replicas.ts";
import { MERGED } from "../heart/tables.ts";
import { withReadableHeart } from "../heart/transfer/reading.ts";
import { readMeta } from "../heart/meta.ts";
import { err, ok } from "../lib/result.ts";
import { filesystemOf } from "../platform/filesystem.ts";
import type { CommandIo } from "./command.ts";
import { type HeartArguments, type HeartDesk, withDesk } from "./heart-desk.ts";
import { infoText, statusText } from "./heart-status-text.ts";

export function showStatus(args: HeartArguments, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const { deps, place } = desk;
    const read = withReadableHeart(deps, place, ({ db, mac, id }) =>
      mac === null
        ? err({ kind: "keys-missing", path: place.file })
        : ok<{ status: HeartStatus; facts: HeartFacts }>({ status: heartStatus(db, mac, id, deps.clock.now()), facts: heartFacts(db) }),
    );
    if (!read.ok) return desk.refuse(read.error);
    const { status, facts } = read.value;
    const [newest] = listBackups(deps, desk.layout.backups);
    const backup = newest === undefined ? null : { file: join(desk.layout.backups, newest.name), at: newest.at };
    const around = { file: place.file, backup, size: sizeOf(place.file), free: freeNear(desk), now: deps.clock.now() };
    return desk.answer({ ...around, ...status, counts: facts }, forTerminal(statusText(status, facts, around)));
  });
}

export function showInfo(args: HeartArguments, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const { place } = desk;
    const read = withReadableHeart(desk.deps, place, ({ db, mac, id }) => {
      const rows = Object.fromEntries(MERGED.map(({ name }) => [name, Number(db.get(`select count(*) as n from ${name}`)?.["n"] ?? 0)]));
      const replica = readMeta(db, "replica")?.["v"];
      return ok({ id, replica: replica instanceof Uint8Array ? replica.toHex() : "", keys: mac !== null, facts: heartFacts(db), rows });
    });
    if (!read.ok) return desk.refuse(read.error);
    const { facts, ...rest } = read.value;
    const info = { file: place.file, size: sizeOf(place.file), ...rest, ...facts };
    return desk.answer(info, forTerminal(infoText(info)));
  });
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

export function freeNear({ layout }: HeartDesk): number | null {
  const found = filesystemOf(layout.heart);
  return found.ok ? found.value.free : null;
}
