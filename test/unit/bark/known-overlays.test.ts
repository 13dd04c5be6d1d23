import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { knownOverlay, overlayFault, overlayState } from "../../../src/bark/policy/known.ts";
import { openMemoryHeart } from "../../../src/cli/heart-access.ts";
import { OVERLAY_STATE } from "../../../src/heart/state.ts";
import { must } from "../../support/heart.ts";

const one = fc.record({ hash: fc.stringMatching(/^[0-9a-f]{64}$/), issued: fc.integer({ min: 0, max: 5 }) });

describe("a parent's overlays that a heart has met", () => {
  test("only the newest is in force, and one that is newer still", () => {
    const hash = (digit: string): string => digit.repeat(64);
    const [old, fresh] = [
      { hash: hash("a"), issued: 1 },
      { hash: hash("b"), issued: 2 },
    ];
    expect(overlayFault(null, [])).toBeNull();
    expect(overlayFault(old, [])).toBeNull();
    expect(overlayFault(fresh, [old, fresh])).toBeNull();
    expect(overlayFault({ hash: hash("c"), issued: 3 }, [fresh, old])).toBeNull();
    expect(overlayFault(null, [old])).toMatchObject({ kind: "gone" });
    expect(overlayFault(old, [fresh, old])).toMatchObject({ kind: "older" });
    // Who does not say when is older than anybody, and of two who say the same nobody knows.
    expect(overlayFault({ hash: hash("c"), issued: 0 }, [old])).toMatchObject({ kind: "older" });
    expect(overlayFault({ hash: hash("c"), issued: 2 }, [fresh])).toMatchObject({ kind: "older" });
  });

  test("what more is known never lets in what was kept out", () => {
    fc.assert(
      fc.property(
        fc.option(one, { nil: null }),
        fc.array(one, { maxLength: 4 }),
        fc.array(one, { maxLength: 4 }),
        (present, known, more) => {
          if (overlayFault(present, known) !== null) expect(overlayFault(present, [...known, ...more])).not.toBeNull();
        },
      ),
    );
  });

  test("facts of the heart read back as what they were, and others are none of them", () => {
    using heart = openMemoryHeart();
    const kept = [
      { hash: "0".repeat(64), issued: 0 },
      { hash: "f".repeat(64), issued: 1_800_000_000_000 },
    ];
    for (const overlay of kept) must(heart.state.set(overlayState(overlay), "seen"));
    must(heart.state.set("overlayed", "x"));
    must(heart.state.set(`${OVERLAY_STATE}junk`, "x"));
    must(heart.state.set(overlayState({ hash: "1".repeat(64), issued: 1 }), null));
    expect(heart.state.keysUnder(OVERLAY_STATE)?.flatMap((key) => knownOverlay(key) ?? [])).toEqual(kept);
  });
});
