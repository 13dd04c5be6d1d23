import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { forkHeart } from "../../src/heart/care/fork.ts";
import { verifyHeart } from "../../src/heart/care/verify.ts";
import { heartCopies } from "../../src/heart/copies.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, talk } from "../support/heart.ts";
import { furnished } from "../support/heart-furnished.ts";
import { tempDir } from "../support/noctem.ts";

const deps = heartDeps();
const KEY = join("keys", "heart.json");

describe("a fork", () => {
  test("has the same heart and keys, for its owner's eyes only, and another replica; what was forgotten is not in it", () => {
    using heart = furnished();
    using stick = tempDir("noctem-fork-");
    const target = placeIn(stick.path);
    const { replica } = must(forkHeart(deps, heart.place, target));
    expect(readFileSync(join(stick.path, KEY)).equals(readFileSync(join(heart.path, KEY)))).toBe(true);
    expect(statSync(join(stick.path, KEY)).mode & 0o777).toBe(0o600);
    expect(must(heartCopies(deps, heart.place, BUILD).status())).not.toMatchObject({ replica });
    expect(must(verifyHeart(deps, target)).count).toBe(0);
    expect(readFileSync(target.file).toString("latin1")).not.toContain("gone 0");
    expect(readdirSync(stick.path).toSorted()).toEqual(["heart.sqlite", "keys"]);
  });

  test("both write, and meet again", () => {
    using heart = furnished(1);
    using stick = tempDir("noctem-fork-");
    const target = placeIn(stick.path);
    must(forkHeart(deps, heart.place, target));
    for (const folder of [heart.path, stick.path]) {
      using open = openIn(folder);
      talk(open, `said in ${folder}`);
    }
    must(heartCopies(deps, heart.place, BUILD).merge(target.file, { dryRun: false }));
    must(heartCopies(deps, target, BUILD).merge(heart.place.file, { dryRun: false }));
    for (const folder of [heart.path, stick.path]) {
      using open = openIn(folder);
      expect(open.sessions(9)).toHaveLength(3);
    }
  });

  test("that was cut off after its keys is done again; anything else there is left alone", () => {
    using heart = furnished(1);
    using other = furnished(1);
    using stick = tempDir("noctem-fork-");
    const target = placeIn(stick.path);
    mkdirSync(target.keysDir);
    copyFileSync(join(heart.path, KEY), join(stick.path, KEY));
    writeFileSync(`${target.file}.unfinished`, "half of it");
    writeFileSync(`${target.file}-journal`, "of something else");
    must(forkHeart(deps, heart.place, target));
    expect(readdirSync(stick.path).toSorted()).toEqual(["heart.sqlite", "keys"]);
    expect(forkHeart(deps, heart.place, target)).toMatchObject({ ok: false, error: { kind: "exists", path: target.file } });

    using taken = tempDir("noctem-fork-");
    const elsewhere = placeIn(taken.path);
    mkdirSync(elsewhere.keysDir);
    copyFileSync(join(other.path, KEY), join(taken.path, KEY));
    const keys = readFileSync(join(taken.path, KEY));
    expect(forkHeart(deps, heart.place, elsewhere)).toMatchObject({ ok: false, error: { kind: "exists", path: join(taken.path, KEY) } });
    expect(readFileSync(join(taken.path, KEY)).equals(keys)).toBe(true);
    expect(existsSync(elsewhere.file)).toBe(false);
  });

  test("that fails takes away the keys that it brought, and not those that were there", () => {
    using heart = furnished(1);
    using stick = tempDir("noctem-fork-");
    const target = placeIn(stick.path);
    const failing = heartDeps({ files: { ...deps.files, rename: () => ({ ok: false, error: { kind: "io", detail: "gone" } }) } });
    expect(forkHeart(failing, heart.place, target)).toMatchObject({ ok: false, error: { kind: "io" } });
    expect(existsSync(join(stick.path, KEY))).toBe(false);
    mkdirSync(target.keysDir, { recursive: true });
    copyFileSync(join(heart.path, KEY), join(stick.path, KEY));
    expect(forkHeart(failing, heart.place, target)).toMatchObject({ ok: false, error: { kind: "io" } });
    expect(existsSync(join(stick.path, KEY))).toBe(true);
    expect(readdirSync(stick.path)).toEqual(["keys"]);
  });
});
