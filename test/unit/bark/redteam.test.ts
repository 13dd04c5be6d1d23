import { describe, expect, test } from "bun:test";
import { ATTACKS, familyOf, namedInFamilies } from "../../../src/bark/redteam/attacks.ts";
import { GROUPS } from "../../../src/bark/redteam/types.ts";
import { OTHER_SCENES } from "../../../src/cli/bark-redteam-scenes.ts";
import { RACE_SCENES } from "../../../src/platform/redteam/races.ts";

describe("the suite of attacks", () => {
  const single = ATTACKS.flatMap((attack) =>
    "parts" in attack && attack.parts !== undefined
      ? attack.parts.map(({ id, family }) => ({ id, group: attack.group, family }))
      : [{ id: attack.id, group: attack.group, family: familyOf(attack) }],
  );

  test("has at least 120 attacks that differ, spellings of one counted once, and names each once", () => {
    expect(new Set(single.map(({ id }) => id)).size).toBe(single.length);
    expect(new Set(single.map(({ group, family }) => `${group}/${family}`)).size).toBeGreaterThanOrEqual(120);
  });

  test("has several in every group", () => {
    for (const group of GROUPS)
      expect([group, new Set(single.filter((one) => one.group === group).map(({ family }) => family)).size > 1]).toEqual([group, true]);
  });

  test("its table of families names attacks that there are, and never one alone", () => {
    const ids = new Set(single.map(({ id }) => id));
    expect(namedInFamilies().filter((id) => !ids.has(id))).toEqual([]);
    const families = namedInFamilies().map((id) => familyOf({ id }));
    expect(families.filter((family) => families.filter((other) => other === family).length < 2)).toEqual([]);
  });

  test("every scene is played by somebody", () => {
    const played = new Set([...Object.keys(RACE_SCENES), ...Object.keys(OTHER_SCENES)]);
    const scenes = ATTACKS.flatMap((attack) => ("scene" in attack ? [attack.id] : []));
    expect(scenes.filter((id) => !played.has(id))).toEqual([]);
    expect([...played].filter((id) => !scenes.includes(id))).toEqual([]);
  });
});
