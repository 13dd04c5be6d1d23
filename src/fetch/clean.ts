import { Parser } from "htmlparser2";
import { resolved } from "./address.ts";
import { isHiding } from "./hidden.ts";
import { plainText } from "./plain.ts";

/** A page without what a person would not see and what a text has no use for. */
export interface CleanPage {
  readonly title: string;
  /** Of a list of elements and attributes, nested at most `DEEPEST` levels, with absolute links. */
  readonly body: string;
  readonly elements: number;
  /** Where the page itself sends its readers at once, as a redirect that the server does not know of; null when it does not. */
  readonly leadsTo: string | null;
  /** It was larger or deeper than is read. */
  readonly cut: boolean;
}

/** Levels that are kept; what is nested deeper loses its elements and keeps its words. */
const DEEPEST = 60;
/** The same for what repeats itself before each line in Markdown, so that a line costs what it says. */
const DEEPEST_INDENT = 8;
/** Levels times tags at which reading ends: the parser moves its stack at each tag. 40,000 levels once are within it. */
const MOST_WORK = 1e9;
const MOST_ELEMENTS = 60_000;
/** Characters. */
const MOST_BODY = 4_000_000;
const LONGEST_TITLE = 300;

/**
 * Read as a stream of tags rather than as a tree, so that nothing of the page's choosing (depth, number, size) is built before it is bounded. Everything
 * that comes later sees elements and attributes of the lists below alone.
 */
export function cleanPage(html: string, address: string): CleanPage {
  let base = address;
  let title = "";
  let leadsTo: string | null = null;
  let elements = 0;
  let length = 0;
  let depth = 0;
  const end = { cut: false };
  let indent = 0;
  let work = 0;
  const body: string[] = [];
  /** For each open element: its name when its end is to be written. */
  const open: (string | null)[] = [];
  /** Open elements inside the outermost one that is left out, that one included; 0 outside. */
  let dropped = 0;
  let inTitle = false;
  /** The parser hands out each "&" by itself; cleaning costs by the call. */
  let pending: string[] = [];
  const write = (text: string): void => {
    length += text.length;
    body.push(text);
    if (length > MOST_BODY) stop();
  };
  const flush = (): void => {
    if (pending.length === 0) return;
    const plain = plainText(pending.join("")).replaceAll(BLANKS, (run) => run.slice(0, LONGEST_BLANK));
    pending = [];
    if (inTitle) title = (title + plain).slice(0, LONGEST_TITLE).toWellFormed();
    else write(escaped(plain));
  };
  const parser = new Parser({
    onopentag(name, attributes) {
      flush();
      work += open.length + dropped;
      if (work > MOST_WORK || elements > MOST_ELEMENTS) stop();
      if (dropped > 0 || isDropped(name, attributes)) {
        dropped++;
        return;
      }
      inTitle = name === "title" && title === "";
      if (name === "base" && attributes["href"] !== undefined) base = resolved(attributes["href"], address) ?? base;
      if (name === "meta") leadsTo ??= refreshOf(attributes, base);
      const kept = KEPT.has(name) && depth < DEEPEST && (!INDENTS.has(name) || indent < DEEPEST_INDENT);
      open.push(kept ? name : null);
      if (!kept) return;
      depth++;
      elements++;
      if (INDENTS.has(name)) indent++;
      write(`<${name}${attributesOf(name, attributes, base)}>`);
    },
    ontext(text) {
      if (dropped === 0) pending.push(text);
    },
    onclosetag(name) {
      flush();
      if (dropped > 0) {
        dropped--;
        return;
      }
      if (name === "title") inTitle = false;
      const kept = open.pop() ?? null;
      if (kept === null) return;
      depth--;
      if (INDENTS.has(kept)) indent--;
      if (!VOID.has(name)) write(`</${name}>`);
    },
  });
  const stop = (): void => {
    end.cut = true;
    // Ends the reading: what is left in the buffer goes nowhere.
    parser.pause();
  };
  for (let at = 0; at < html.length && !end.cut; at += PIECE) parser.write(html.slice(at, at + PIECE));
  if (!end.cut) parser.end();
  flush();
  for (const kept of open.toReversed()) if (kept !== null && !VOID.has(kept)) body.push(`</${kept}>`);
  return { title: title.replaceAll(/\s+/g, " ").trim(), body: body.join(""), elements, leadsTo, cut: end.cut };
}

/** Seconds after which a page that sends its readers on is one that they were to read. */
const AT_ONCE = 5;

/** `<meta http-equiv="refresh" content="0; url=…">`. A page that only loads itself anew leads nowhere. */
function refreshOf(attributes: Readonly<Record<string, string>>, base: string): string | null {
  if (attributes["http-equiv"]?.trim().toLowerCase() !== "refresh") return null;
  const content = attributes["content"]?.slice(0, 5000) ?? "";
  const [, seconds = "", link = ""] = /^\s*(\d{1,6})(?:\.\d*)?\s*[;,]\s*(?:url\s*=\s*)?["']?([^"'\s]+)/i.exec(content) ?? [];
  const to = link === "" || Number(seconds) > AT_ONCE ? null : resolved(link, base);
  return to === null || to.split("#", 1)[0] === base.split("#", 1)[0] ? null : to;
}

/** Spaces in a row, as many as any table or drawing needs. What looks for the ends of lines takes the square of their number. */
const LONGEST_BLANK = 200;
const BLANKS = new RegExp(`[^\\S\n]{${LONGEST_BLANK},}`, "g");

/** Characters that are handed to the parser at once. */
const PIECE = 1 << 16;

const set = (names: string): ReadonlySet<string> => new Set(names.split(" "));

/** With everything in them. What is not shown, what is no text, and what a person would fill in. */
const DROPPED = set(
  "script style noscript template iframe object embed applet canvas svg audio video picture source track map frame frameset noframes noembed select datalist textarea button input dialog rp",
);
/** Everything else loses its tags and keeps its words. */
const KEPT = set(
  "a abbr address article aside b blockquote br caption center cite code dd del details dfn div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q s samp section small span strike strong sub summary sup table tbody td tfoot th thead tr tt u ul var",
);
const VOID = set("br hr img");
const INDENTS = set("blockquote ul ol dl");

function isDropped(name: string, attributes: Readonly<Record<string, string>>): boolean {
  // A dialog that stands open is seen.
  if (DROPPED.has(name)) return name !== "dialog" || attributes["open"] === undefined;
  return isHiding(attributes);
}

function attributesOf(name: string, attributes: Readonly<Record<string, string>>, base: string): string {
  const pairs: [string, string | null | undefined][] = [];
  // By these the main part of a page is told from what surrounds it, and the language of a program is known.
  for (const key of ["class", "id", "role"]) pairs.push([key, attributes[key]?.slice(0, 200)]);
  if (name === "a") pairs.push(["href", attributes["href"] === undefined ? null : resolved(attributes["href"], base)]);
  if (name === "img") pairs.push(["alt", attributes["alt"]?.slice(0, 1000)]);
  if (name === "ol") pairs.push(["start", /^\d{1,9}$/.exec(attributes["start"] ?? "")?.[0]]);
  if (name === "td" || name === "th") pairs.push(["colspan", /^\d{1,2}$/.exec(attributes["colspan"] ?? "")?.[0]]);
  return pairs
    .map(([key, value]) => (value === null || value === undefined || value === "" ? "" : ` ${key}="${escaped(plainText(value))}"`))
    .join("");
}

/**
 * What markup is made of, as characters that `plainText` lets nobody bring along. As entities they would each be an event of the next parser, which takes 15 seconds for half a
 * million of them.
 */
const MARKS: readonly (readonly [string, string])[] = [
  ["&", "\ue000"],
  ["<", "\ue001"],
  [">", "\ue002"],
  ['"', "\ue003"],
];
const escaped = (text: string): string => MARKS.reduce((whole, [character, mark]) => whole.replaceAll(character, mark), text);
/** Of a text that came out of `body`. */
export const unescaped = (text: string): string => MARKS.reduce((whole, [character, mark]) => whole.replaceAll(mark, character), text);
