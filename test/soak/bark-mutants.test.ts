/** The suite of attacks can fail: each defence is taken out once in a copy of the source, and at least one attack then gets through. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { NO_CAGE } from "../support/cage.ts";
import { defenceCopy } from "../support/defence-copy.ts";
import { DEFENCES, HOLDS_TWICE } from "../support/defences.ts";
import { ROOT } from "../support/noctem.ts";

const why = NO_CAGE === null ? "" : ` (skipped: ${NO_CAGE})`;

test.skipIf(NO_CAGE !== null)(
  `each defence is needed by an attack, or is named as one that holds twice${why}`,
  () => {
    using copy = defenceCopy();
    const lines = DEFENCES.map((defence) => {
      const open = copy.without(defence);
      const line = `${defence.name}: ${open.length === 0 ? "nothing opens" : open.join(", ")}`;
      console.log(line);
      return { name: defence.name, open, line };
    });
    writeFileSync(join(ROOT, "build/defences.txt"), `${lines.map(({ line }) => line).join("\n")}\n`);
    const needless = lines.filter(({ open }) => open.length === 0).map(({ name }) => name);
    expect(needless.filter((name) => !(name in HOLDS_TWICE))).toEqual([]);
    expect(Object.keys(HOLDS_TWICE).filter((name) => !DEFENCES.some((defence) => defence.name === name))).toEqual([]);
  },
  60 * 60_000,
);

test.skipIf(NO_CAGE !== null)(
  `ten thousand swaps in every race${why}`,
  () => {
    const ran = Bun.spawnSync(
      [process.execPath, join(ROOT, "src/main.ts"), "bark", "redteam", "--json", "--only", "race-", "--swaps", "10000"],
      {
        cwd: "/",
        stdio: ["ignore", "pipe", "inherit"],
        timeout: 40 * 60_000,
        killSignal: "SIGKILL",
      },
    );
    const { attacks } = JSON.parse(ran.stdout.toString()) as {
      readonly attacks: readonly { readonly id: string; readonly result: string; readonly reason: string }[];
    };
    expect(attacks.filter(({ result }) => result !== "held")).toEqual([]);
    // Others with these letters in their names come along.
    const races = attacks.filter(({ id }) => id.startsWith("race-"));
    expect(races.length).toBeGreaterThanOrEqual(13);
    for (const { reason } of races) expect(Number(/^(\d+) swaps/.exec(reason)?.[1])).toBeGreaterThanOrEqual(10_000);
  },
  45 * 60_000,
);
