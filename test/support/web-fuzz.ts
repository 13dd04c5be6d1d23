/** Pages that nobody would write, and what has to be true of whatever is made of them. Used with few cases in the tests and with many in the soak. */
import * as fc from "fast-check";
import { contentType } from "../../src/fetch/head.ts";
import { decodeText } from "../../src/fetch/charset.ts";
import { webAddress } from "../../src/fetch/address.ts";
import { markdownOf } from "../../src/fetch/markdown.ts";
import { readReply } from "../../src/fetch/protocol.ts";
import { mayRead } from "../../src/fetch/robots.ts";

const HIDDEN = "qzhiddenqz";
/** Each begins and ends outside of any tag, so that what is hidden in it is hidden wherever it stands. */
const HIDING = [
  `<script>${HIDDEN}</script>`,
  `<script type="text/x">var a = "<p>${HIDDEN}"</script>`,
  `<style>${HIDDEN}</style>`,
  `<!-- ${HIDDEN} -->`,
  `<noscript><p>${HIDDEN}</noscript>`,
  `<template><b>${HIDDEN}</b></template>`,
  `<div hidden>${HIDDEN}</div>`,
  `<p hidden="">${HIDDEN}</p>`,
  `<span aria-hidden="TRUE">${HIDDEN}</span>`,
  `<i style="display:none">${HIDDEN}</i>`,
  `<i STYLE='color:red; Display : NONE'>${HIDDEN}</i>`,
  `<b style="font-size:0">a<i>${HIDDEN}</i></b>`,
  `<svg><text>${HIDDEN}</text></svg>`,
  `<textarea>${HIDDEN}</textarea>`,
  `<select><option>${HIDDEN}</select>`,
  `<p title="${HIDDEN}" data-x='${HIDDEN}'>seen</p>`,
  `<input value="${HIDDEN}">`,
];
const NAMES =
  "a b p div span table tr td th ul ol li dl dt dd pre code blockquote h1 h2 img br hr section article nav header footer main form label center font sup sub del q details summary figure figcaption tbody caption x-y math".split(
    " ",
  );
const name = fc.constantFrom(...NAMES);
const words = fc.oneof(
  fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[<>&]/g, " ")),
  fc.constantFrom(
    "&amp;",
    "&lt;",
    "&#0;",
    "&#x10ffff;",
    "&#xe000;",
    "&nope;",
    "\u200b",
    "\u202e",
    "|",
    "`",
    "```",
    "\n\n",
    "*",
    "_",
    "[",
    "](",
    "#",
    "1.",
    "\0",
  ),
);
const attributes = fc.constantFrom(
  "",
  ' href="/x?a=1&b=2"',
  ' href="javascript:alert(1)"',
  " href=//other.example",
  ' class="language-a b"',
  ' id="comments"',
  ' role="dialog"',
  " start=7",
  " colspan=3",
  ' alt="a | b"',
  ' style="color:red"',
  " a=1 a=2 =3",
);
const tag = fc.oneof(
  fc.tuple(name, attributes).map(([of, with_]) => `<${of}${with_}>`),
  name.map((of) => `</${of}>`),
);
const structured = fc.array(fc.oneof(tag, tag, words, fc.constantFrom(...HIDING)), { maxLength: 60 }).map((parts) => parts.join(""));
const deep = fc.tuple(name, fc.integer({ min: 1, max: 400 })).map(([of, times]) => `<${of}>`.repeat(times));
const wild = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 30 }),
      tag,
      deep,
      fc.constantFrom(
        "<",
        "</",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "<!doctype",
        '"',
        "'",
        "=",
        "&",
        "&#",
        "<script",
        "</script",
        "<title>",
        "<p ",
        "<plaintext>",
        "<base href=",
        "\ud800",
      ),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(""));

/** Throws where something does not hold. */
export function fuzzPages(runs: number): void {
  const times = { numRuns: Math.ceil(runs / 4) };
  fc.assert(
    fc.property(structured, (html) => {
      const page = markdownOf(`<p>first</p>${html}`, AT);
      check(page, html.length);
      if (`${page.title}${page.text}`.includes(HIDDEN)) throw new Error("hidden text is read");
    }),
    times,
  );
  fc.assert(
    fc.property(wild, (html) => {
      check(markdownOf(html, AT), html.length);
    }),
    times,
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.option(fc.string({ maxLength: 12 })), (bytes, label) => {
      const text = decodeText(bytes, label);
      if (text.length > bytes.length + 1) throw new Error("there is more text than bytes");
      check(markdownOf(text, AT), text.length);
    }),
    times,
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.webUrl(), (text, url) => {
      contentType(text);
      mayRead(url, text);
      readReply(text);
      const address = webAddress(text);
      // What is taken is taken once more as it is.
      if (address.ok && !webAddress(address.value.href).ok) throw new Error("an address is none the second time");
    }),
    times,
  );
}

const AT = "https://site.example/docs/page";

function check({ title, text }: { readonly title: string; readonly text: string }, length: number): void {
  if (title.length > 300 || title.includes("\n")) throw new Error("the title is no title");
  // Quotes and lists put a few characters before each line, an address is written out in full.
  if (text.length > length * 45 + 1000) throw new Error(`${length} characters became ${text.length}`);
  if (!text.isWellFormed()) throw new Error("half a character");
  if (/(?![\n\t])[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}]/u.test(title + text))
    throw new Error("a character that nobody sees");
  if (/\]\((?:javascript|data|file):/i.test(text)) throw new Error("a link that runs something");
}
