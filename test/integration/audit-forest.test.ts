import { expect, test } from "bun:test";
import fc from "fast-check";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ReadAnchor } from "../../src/audit/anchor.ts";
import { parseEntry } from "../../src/audit/entry.ts";
import { checkProof, proveInclusion } from "../../src/audit/proof.ts";
import { forksBetween } from "../../src/cli/audit-forks.ts";
import { openAuditFile } from "../../src/heart/audit-file.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { anchorOf, judged, sitting } from "../support/audit-forge.ts";
import { BUILD, must, placeIn } from "../support/heart.ts";
import { tempDir } from "../support/noctem.ts";
import { sqliteDriver } from "../../src/platform/sqlite/driver.ts";

const RUNS = Number(process.env["RUNS"] ?? 12);

/** What a person does with copies, in any order: sit down at one, copy one over a new name, bring two together, keep an anchor. */
const Step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("sit" as const), at: fc.nat(2), calls: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("merge" as const), at: fc.nat(2), from: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clone" as const), at: fc.nat(2), from: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("anchor" as const), at: fc.nat(2) }) },
);

test("whatever is done with copies, no honest log is called anything but sound, every anchor holds in every copy that came after it, and one changed letter is found", () => {
  fc.assert(
    fc.property(fc.array(Step, { minLength: 3, maxLength: 9 }), fc.nat(), (steps, pick) => {
      using dir = tempDir("noctem-forest-");
      const folders = [0, 1, 2].map((i) => join(dir.path, `copy${i}`));
      const [first = ""] = folders;
      mkdirSync(first);
      sitting(first, new Map(), 1, "start");
      for (const folder of folders.slice(1)) cpSync(first, folder, { recursive: true });
      /** With the sessions that it was taken over: a copy that has them all came after it. */
      const anchors: { readonly anchor: ReadAnchor; readonly sessions: readonly string[] }[] = [];
      const sessionsOf = (folder: string): readonly string[] => {
        using file = must(openAuditFile(heartDeps(), placeIn(folder).file));
        return file.checkpoints().map(({ key, note }) => `${key} ${note.split("\n")[1] ?? ""}`);
      };
      let n = 0;
      for (const step of steps) {
        const at = folders[step.at] ?? first;
        if (step.kind === "sit") sitting(at, new Map(), step.calls, `s${n++}-`);
        else if (step.kind === "anchor") anchors.push({ anchor: anchorOf(at), sessions: sessionsOf(at) });
        else {
          const from = folders[step.from] ?? first;
          if (from === at) continue;
          if (step.kind === "clone") {
            rmSync(at, { recursive: true });
            cpSync(from, at, { recursive: true });
          } else {
            expect(forksBetween(placeIn(at).file, placeIn(from).file)).toEqual([]);
            must(heartCopies(heartDeps(), placeIn(at), BUILD).merge(placeIn(from).file, { dryRun: false }));
          }
        }
      }
      for (const folder of folders) {
        expect(judged(folder)).toMatchObject({ verdict: "unwitnessed", checked: { count: 0 } });
        const here = new Set(sessionsOf(folder));
        for (const { anchor, sessions } of anchors) {
          const after = sessions.every((session) => here.has(session));
          expect(judged(folder, { anchors: [anchor] }).verdict).toBe(after ? "sound" : "truncated");
        }
        for (const other of folders) {
          using against = must(openAuditFile(heartDeps(), placeIn(other).file));
          expect(judged(folder, { against }).verdict).toBe("sound");
        }
      }
      // Any entry is proved, and any entry that is changed is found.
      const [folder = ""] = folders;
      const leaf = provedLeaf(folder, pick);
      {
        using db = sqliteDriver.open(placeIn(folder).file, { create: false, readOnly: false });
        db.run("update leaf set leaves = replace(leaves, ?, ?)", leaf, leaf.replace('"version":1', '"version":2'));
      }
      expect(judged(folder).verdict).toBe("altered");
    }),
    { numRuns: RUNS },
  );
}, 300_000);

function provedLeaf(folder: string, pick: number): string {
  using file = must(openAuditFile(heartDeps(), placeIn(folder).file));
  const notes = file.checkpoints();
  const { key = "", note = "" } = notes[pick % notes.length] ?? {};
  const leaves = file.leavesOf(key);
  const index = pick % leaves.length;
  const proof = proveInclusion({ heart: file.heart, leaves, checkpoint: note, index, anchored: 0 }, auditCrypto);
  expect(checkProof(JSON.stringify(proof), [], auditCrypto)).toMatchObject({ kind: "proved", entry: parseEntry(leaves[index] ?? "") });
  return leaves[index] ?? "";
}
