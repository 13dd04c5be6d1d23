/**
 * Text that a person must see as it is before deciding. Nothing is dropped; what could be invisible, reordered or taken for something else is spelled out as `\u{202e}`,
 * in the questions on a terminal as in the chat's pane.
 */

const PLAIN = /^[ -~]*$/;
const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}\u115f\u1160\u3164\uffa0\u2800\u00ad]/u;
const UNSHOWN = /[\p{Cc}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}]/u;
const ODD_SPACE = /[^\P{Zs} ]/u;
const MARK = /\p{M}/u;
const MAX_MARKS = 2;
/** Terminals reorder them unasked, and what stands around them. */
const RIGHT_TO_LEFT =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Samaritan}\p{Script=Mandaic}\p{Script=Adlam}\p{Script=Hanifi_Rohingya}]/u;

/** One line. A tab stays, a newline and a lone surrogate are spelled; `odd` counts what was spelled out. `name`: see `exactName`. */
export function spellOut(text: string, name: boolean): { readonly text: string; readonly odd: number } {
  let shown = text;
  let odd = 0;
  // What is spelled out ends a word: the letters left of it, now by themselves, may be look-alikes all of them.
  while (!PLAIN.test(shown)) {
    const pass = spellOnce(shown, name);
    if (pass.odd === 0) break;
    odd += pass.odd;
    shown = pass.text;
  }
  return { text: shown, odd };
}

function spellOnce(text: string, name: boolean): { readonly text: string; readonly odd: number } {
  const strange = lookAlikes(text, name);
  let out = "";
  let odd = 0;
  let marks = 0;
  let at = 0;
  for (const character of text) {
    marks = MARK.test(character) ? marks + 1 : 0;
    if (strange.has(at) || isOdd(character, marks)) {
      odd++;
      out += `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
    } else out += character;
    at += character.length;
  }
  return { text: out, odd };
}

/** Of a text, such as a changed line: a word that mixes scripts is marked by its foreign letters. */
export const exact = (text: string): string => spellOut(text, false).text;
/** Of a name, a path, an argument, a host: also a whole word of look-alikes, and signs that look like those of a path or an option. */
export const exactName = (text: string): string => spellOut(text, true).text;

/** How many characters of it are spelled out. Who spells one out by hand is counted as well. */
export const oddIn = (text: string): number => text.match(/\\u\{[0-9a-f]+\}/gu)?.length ?? 0;

function isOdd(character: string, marks: number): boolean {
  if ((character >= " " && character <= "~") || character === "\t") return false;
  return (
    UNSHOWN.test(character) || INVISIBLE.test(character) || ODD_SPACE.test(character) || marks > MAX_MARKS || RIGHT_TO_LEFT.test(character)
  );
}

const WORD = /[\p{L}\p{M}\p{N}]+/gu;
/** Scripts that share their letters' looks; what is none of these is a script like any other. */
const SCRIPTS: readonly (readonly [string, RegExp])[] = [
  ["Latin", /\p{Script=Latin}/u],
  ["Cyrillic", /\p{Script=Cyrillic}/u],
  ["Greek", /\p{Script=Greek}/u],
  ["Armenian", /\p{Script=Armenian}/u],
  ["Cherokee", /\p{Script=Cherokee}/u],
  ["Coptic", /\p{Script=Coptic}/u],
  ["Lisu", /\p{Script=Lisu}/u],
  ["Georgian", /\p{Script=Georgian}/u],
  // One writing system each with Latin letters among them (UTS 39, "highly restrictive").
  ["East Asian", /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Hangul}]/u],
  ["none", /[\p{Script=Common}\p{Script=Inherited}]/u],
];
const scriptOf = (letter: string): string => SCRIPTS.find(([, script]) => script.test(letter))?.[0] ?? "other";

/** Letters of other scripts that look like one of a to z, or A to Z, in common fonts. */
const TWINS = new Set("асеорхуіјѕһԁԛԝԍІЈЅАВЕКМНОРСТХУԌԚԜҮүοονρυικαγητωΑΒΕΖΗΙΚΜΝΟΡΤΥΧϲϳօսոցհզյԼՕՍՏᎪᏴᏟᎠᎬᎻᎥᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃⲞⲟⲤⲥⲢⲣ");
/** Signs that look like those which a path, an address or an option is made of. */
const TWIN_SIGNS =
  /[\u2010-\u2015\u2212\u2043\u02d7\u2044\u2215\u29f8\u2571\u2024\u0589\u2236\ua789\u05c3\u02d0\u201a\u2018\u2019\u02bc\u2223\u01c0\u0251\u0261]/u;

/** Where look-alikes stand: offsets into the text. */
function lookAlikes(text: string, name: boolean): ReadonlySet<number> {
  const found = new Set<number>();
  for (const { 0: word, index } of text.matchAll(WORD)) {
    if (PLAIN.test(word)) continue;
    const letters = [...word.matchAll(/\p{L}/gu)].map(({ 0: letter, index: at }) => ({ letter, at: index + at, script: scriptOf(letter) }));
    const scripts = new Set(letters.map(({ script }) => script).filter((script) => script !== "none"));
    const isMixed = scripts.size > 1 && !(scripts.size === 2 && scripts.has("Latin") && scripts.has("East Asian"));
    const own = scripts.has("Latin") ? "Latin" : (letters.find(({ script }) => script !== "none")?.script ?? "none");
    if (isMixed) for (const { at, script } of letters) if (script !== own && script !== "none") found.add(at);
    if (name && letters.length > 0 && letters.every(({ letter }) => TWINS.has(letter))) for (const { at } of letters) found.add(at);
  }
  if (!name) return found;
  for (const { 0: character, index } of text.matchAll(/[^ -~]/gu)) {
    // Wide, mathematical and raised forms of plain characters.
    const plain = character.normalize("NFKC");
    if (TWIN_SIGNS.test(character) || (plain !== character && PLAIN.test(plain) && !ODD_SPACE.test(character))) found.add(index);
  }
  return found;
}
