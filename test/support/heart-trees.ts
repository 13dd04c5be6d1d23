import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { heartCopies } from "../../src/heart/copies.ts";
import type { Label } from "../../src/lib/label.ts";
import type { MessageId } from "../../src/lib/brand.ts";
import { heartDeps } from "../../src/platform/heart.ts";
import { BUILD, must, openIn, placeIn, talk } from "./heart.ts";
import { contentsOf, mergeInto, type Scene } from "./heart-hostile.ts";
import { replayed } from "./unsynced.ts";

/**
 * Damage to the shape of trees, in copies so large that most of them have levels: where a walk and a search find different rows, and the same
 * row stands in two places.
 */

const label: Label = { c: 2, k: ["heart"], i: 2, p: ["console"] };

/** Like `stage`, with trees of two levels. The source goes on with a stream of which the target has a part. */
export function stageTrees(folder: string, pruned: boolean): Scene {
  const [target, source] = [join(folder, "target"), join(folder, "source")];
  const deps = replayed(2);
  const open = (place: string) => openIn(place, deps);
  const sitDown = (place: string, times: number): void => {
    for (let i = 0; i < times; i++) {
      using heart = open(place);
      talk(heart, `sitting ${i}`);
      if (i % 6 === 0) must(heart.tasks.add({ title: `of sitting ${i}` }));
    }
  };
  mkdirSync(source, { recursive: true });
  const tasks: string[] = [];
  {
    using heart = open(source);
    for (let i = 0; i < 120; i++) {
      must(heart.state.set(`state ${i}`, "first"));
      tasks.push(must(heart.tasks.add({ title: `task ${i}` })).id);
      must(heart.incidents.count(`kind ${i}`, 1));
      must(heart.entries.append({ kind: "skill", body: `entry ${i}`, label }));
    }
  }
  sitDown(source, 130);
  const sitting = open(source);
  talk(sitting, "before the copy", "and");
  for (let i = 0; i < 10; i++) must(sitting.state.set(`late ${i}`, "first"));
  cpSync(source, target, { recursive: true });
  talk(sitting, "after the copy", "and");
  for (let i = 0; i < 10; i++) {
    must(sitting.state.set(`late ${i}`, "second"));
    must(sitting.state.set(`state ${i * 7}`, "second"));
    must(sitting.tasks.remove(tasks[i * 3] ?? ""));
    must(sitting.incidents.count(`kind ${i}`, 1));
    must(sitting.memory.remember(`key ${i}`, "x".repeat(700), label));
  }
  sitting[Symbol.dispose]();
  sitDown(source, 60);
  sitDown(target, 30);
  if (pruned) must(heartCopies(heartDeps(deps), placeIn(source), BUILD).compact());
  const before = contentsOf(target);
  const genuine = join(folder, "genuine");
  cpSync(target, genuine, { recursive: true });
  must(mergeInto(genuine, placeIn(source).file));
  return { target, source, earlier: source, before, after: contentsOf(genuine), forgotten: "" as MessageId };
}

const PAGE = 4096;
/** First bytes of pages, from the SQLite file format, section 1.6. */
const Kind = { INDEX: 2, TABLE: 5, INDEX_LEAF: 10, TABLE_LEAF: 13 } as const;
const isInner = (kind: number): boolean => kind === Kind.INDEX || kind === Kind.TABLE;

/** One fault in the shape of a tree. */
export function corruptTrees(file: Uint8Array, random: () => number): Uint8Array {
  const bytes = Buffer.from(file);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = (pages: readonly number[]): number => pages[below(pages.length)] ?? 0;
  const kindOf = (page: number): number => bytes[page * PAGE] ?? 0;
  const pages = [...Array(bytes.length / PAGE).keys()].slice(1).filter((page) => Object.values(Kind).some((kind) => kind === kindOf(page)));
  const inner = pages.filter((page) => isInner(kindOf(page)));
  const cellsOf = (page: number): number => bytes.readUInt16BE(page * PAGE + 3);
  const pointer = (page: number, cell: number): number => page * PAGE + (isInner(kindOf(page)) ? 12 : 8) + 2 * cell;
  const what = below(5);
  if (what === 0) {
    // Keys by which a search finds its way.
    const page = pick(inner) * PAGE;
    for (let i = 0; i <= below(3); i++) bytes[page + below(200)] = below(256);
  } else if (what === 1) {
    // Two branches change places, or one hangs in two.
    const page = pick(inner);
    const [a, b] = [below(cellsOf(page)), below(cellsOf(page))].map((cell) => page * PAGE + bytes.readUInt16BE(pointer(page, cell)));
    const kept = bytes.readUInt32BE(b ?? 0);
    bytes.writeUInt32BE(bytes.readUInt32BE(a ?? 0), b ?? 0);
    if (random() < 0.5) bytes.writeUInt32BE(kept, a ?? 0);
  } else if (what === 2) {
    // The same with two cells of a page.
    const page = pick(pages);
    const [a, b] = [below(cellsOf(page)), below(cellsOf(page))].map((cell) => pointer(page, cell));
    const kept = bytes.readUInt16BE(b ?? 0);
    bytes.writeUInt16BE(bytes.readUInt16BE(a ?? 0), b ?? 0);
    if (random() < 0.5) bytes.writeUInt16BE(kept, a ?? 0);
  } else if (what === 3) {
    // The last cells of a page are gone.
    const page = pick(pages);
    bytes.writeUInt16BE(Math.max(0, cellsOf(page) - 1 - below(3)), page * PAGE + 3);
  } else {
    // A page stands where another one of its kind belongs.
    const page = pick(pages);
    const other = pick(pages.filter((one) => kindOf(one) === kindOf(page)));
    bytes.copyWithin(page * PAGE, other * PAGE, (other + 1) * PAGE);
  }
  return bytes;
}
