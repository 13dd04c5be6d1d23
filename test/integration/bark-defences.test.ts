/** Every defence of the code is one that a test takes out, or stands in a table with the reason. A few are taken out here; all of them in the soak. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NO_CAGE } from "../support/cage.ts";
import { defenceCopy } from "../support/defence-copy.ts";
import { DEFENCES, defencesInCode, NOT_TAKEN_OUT, QUICK } from "../support/defences.ts";
import { ROOT } from "../support/noctem.ts";

describe("the suite of attacks can fail", () => {
  test("an option of bubblewrap, a limit, a denied call, a duty of the helper or a rule of names that nobody attacks is an error", () => {
    const covered = new Set(DEFENCES.flatMap(({ covers = [] }) => covers));
    const inCode = defencesInCode();
    expect(inCode.length).toBeGreaterThan(60);
    expect(inCode.filter((key) => !covered.has(key) && !(key in NOT_TAKEN_OUT))).toEqual([]);
    // Nor is anything said of what is not there any more, or said twice.
    expect([...covered, ...Object.keys(NOT_TAKEN_OUT)].filter((key) => !inCode.includes(key))).toEqual([]);
    expect([...covered].filter((key) => key in NOT_TAKEN_OUT)).toEqual([]);
  });

  test("what is to be taken out stands in the code as it is now", () => {
    const gone = DEFENCES.filter(({ edits }) =>
      edits.some((edit) => {
        const text = readFileSync(join(ROOT, edit.file), "utf8");
        return text === ("change" in edit ? edit.change(text) : text.replace(edit.find, () => edit.put));
      }),
    );
    expect(gone.map(({ name }) => name)).toEqual([]);
  });

  test.skipIf(NO_CAGE !== null)(
    `${QUICK.length} defences of several kinds are taken out, and each time an attack gets through${NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`}`,
    () => {
      using copy = defenceCopy();
      const chosen = DEFENCES.filter(({ name }) => QUICK.includes(name));
      expect(chosen).toHaveLength(QUICK.length);
      for (const defence of chosen) expect([defence.name, copy.without(defence).length > 0]).toEqual([defence.name, true]);
    },
    120_000,
  );
});
