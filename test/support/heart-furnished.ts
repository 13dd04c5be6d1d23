import type { MessageId, SessionId } from "../../src/lib/brand.ts";
import type { Label } from "../../src/lib/label.ts";
import { MERGED } from "../../src/heart/tables.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";
import { keepLog, must, openIn, placeIn, say, talk } from "./heart.ts";
import { tempDir } from "./noctem.ts";
import { unsynced } from "./unsynced.ts";

export const LABEL: Label = { c: 2, k: ["heart"], i: 2, p: ["console"] };

/** A heart with something of everything, in several writing sessions. `size` messages a session make its tables grow trees. */
export function furnished(rounds = 3, size = 3) {
  const dir = tempDir("noctem-care-");
  let first: MessageId | null = null;
  const sessions: SessionId[] = [];
  for (let round = 0; round < rounds; round++) {
    using heart = openIn(dir.path, { sql: unsynced });
    const words = Array.from({ length: size }, (_, i) => `Wolpertinger ${round}.${i} ${"x".repeat((i * 977) % 3000)}`);
    const { session, messages } = talk(heart, ...words, "y".repeat(9000));
    sessions.push(session);
    first ??= messages[0]?.id ?? null;
    must(heart.redact(say(heart, session, messages[0]?.id ?? null, `gone ${round}`).id));
    must(heart.memory.remember(`key ${round % 2}`, `value ${round}`, LABEL));
    const task = must(heart.tasks.add({ title: `task ${round}`, priority: round % 10 }));
    if (round === 1) must(heart.tasks.remove(task.id));
    must(heart.incidents.count("kind", 2, "detail"));
    must(heart.entries.append({ kind: "skill", body: `ran ${round}`, label: LABEL }));
    must(heart.state.set("s", String(round)));
    // Every other session of the log is cut off.
    keepLog(heart, (round + 1).toString(16).padStart(32, "0"), ["begun", "done", "z".repeat(5000)], { ends: round % 2 === 0 });
  }
  return { ...dir, place: placeIn(dir.path), first: first as MessageId, sessions };
}

/** What of `meta` is not the file's alone. */
const HEADS = " where k >= 'head:' and k < 'head;'";

/** The rows of a heart as a merge sees them, and its texts, by table. */
export function rowsOf(file: string): Map<string, Set<string>> {
  using db = sqliteDriver.open(file, { create: false, readOnly: true });
  const tables = [
    ...MERGED.map(({ name, columns }) => [name, [...columns, "mac"].join(", ")] as const),
    ...["message_body", "entry_body"].map((name) => [name, "n, salt, body"] as const),
    ["meta", "k, v, mac"] as const,
  ];
  return new Map(
    tables.map(([name, columns]) => [
      name,
      new Set(
        db
          .all(`select ${columns} from ${name}${name === "meta" ? HEADS : ""}`)
          .map((row) => JSON.stringify(Object.values(row).map((value) => (value instanceof Uint8Array ? value.toHex() : value)))),
      ),
    ]),
  );
}
