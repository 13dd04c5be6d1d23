import { describe, expect, test } from "bun:test";
import { resolved, webAddress } from "../../../src/fetch/address.ts";
import { decodeText } from "../../../src/fetch/charset.ts";
import { contentType } from "../../../src/fetch/head.ts";
import { isHiding } from "../../../src/fetch/hidden.ts";
import { markdownOf } from "../../../src/fetch/markdown.ts";
import { mayRead } from "../../../src/fetch/robots.ts";

const AT = "https://site.example/docs/page";
const bytes = (...parts: readonly (string | readonly number[])[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...new TextEncoder().encode(part)] : part)));
const text = (html: string): string => markdownOf(html, AT).text;

describe("an address", () => {
  test.each([
    ["https://Example.org", "https://example.org/"],
    ["HTTP://example.org:80/a?b=c#d", "http://example.org/a?b=c"],
    ["https://example.org:8443/", "https://example.org:8443/"],
    ["https://example.org/a/../b", "https://example.org/b"],
    ["https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"],
    ["https://192.0.2.1/", "https://192.0.2.1/"],
    ["https://[2001:DB8::1]/", "https://[2001:db8::1]/"],
    ["https://example.org/ü", "https://example.org/%C3%BC"],
  ])("%s is %s", (written, href) => {
    const address = webAddress(written);
    expect(address.ok && address.value.href).toBe(href);
  });

  test.each([
    "ftp://example.org/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:text/html,x",
    "//example.org/",
    "https:example.org",
    "https:///example.org",
    "https://user@example.org/",
    "https://user:word@example.org/",
    "https://example.org@127.0.0.1/",
    "https://example.org\\@127.0.0.1/",
    "https://0x7f.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://017700000001/",
    "https://localhost/",
    "https://example.org./",
    "https://ex%61mple.org/",
    "https://bücher.example/",
    "https://ｅxample.org/",
    "https://example。org/",
    "https://example.org:0/",
    "https://example.org:25/",
    "https://example.org:99999/",
    "https://example.org /",
    "https://example.org/\u0000",
    "https://example.org/\u202e",
    "https://[fe80::1%25eth0]/",
    `https://example.org/${"a".repeat(2000)}`,
    "",
    "example.org",
  ])("not %j", (written) => {
    expect(webAddress(written).ok).toBe(false);
  });

  test("a link is followed from its page, and leads to the web or nowhere", () => {
    expect(resolved("../a", AT)).toBe("https://site.example/a");
    expect(resolved("//other.example/x", AT)).toBe("https://other.example/x");
    expect(["javascript:alert(1)", "data:text/plain,x", "mailto:a@b.example", "https://"].map((link) => resolved(link, AT))).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });
});

describe("what a server says of its answer", () => {
  test.each([
    ["text/html", "html"],
    ["Text/HTML; charset=UTF-8", "html"],
    ["application/xhtml+xml", "html"],
    ["text/plain", "text"],
    ["text/markdown; x=y", "text"],
    ["application/json", "text"],
    ["application/ld+json", "text"],
    ["application/atom+xml", "text"],
    ["image/svg+xml", null],
    ["image/png", null],
    ["application/octet-stream", null],
    ["application/pdf", null],
    ["", null],
  ])("%s is read as %s", (header, reading) => {
    expect(contentType(header).reading).toBe(reading as never);
  });
});

describe("bytes become text", () => {
  test.each([
    ["by the header", bytes("caf", [0xe9]), "iso-8859-1", "café"],
    ["by the mark before the header", bytes([0xef, 0xbb, 0xbf], "é"), "iso-8859-1", "é"],
    ["UTF-16 by its mark", bytes([0xff, 0xfe, 0x41, 0, 0x42, 0]), null, "AB"],
    ["by meta charset", bytes('<meta charset="windows-1251">', [0xcf, 0xf0]), null, '<meta charset="windows-1251">Пр'],
    [
      "by an XML declaration",
      bytes('<?xml version="1.0" encoding="shift_jis"?>', [0x93, 0xfa]),
      null,
      '<?xml version="1.0" encoding="shift_jis"?>日',
    ],
    ["UTF-16 of a page that cannot be it", bytes('<meta charset="utf-16">é'), null, '<meta charset="utf-16">é'],
    ["UTF-8 when nobody says", bytes("日本 é"), null, "日本 é"],
    ["as Windows wrote when it is no UTF-8", bytes("caf", [0xe9]), null, "café"],
    ["a label that nobody knows", bytes("é"), "klingon-8", "é"],
    ["broken characters", bytes("日本", [0xff]), "utf-8", "日本\ufffd"],
  ])("%s", (_name, raw, label, wanted) => {
    expect(decodeText(raw, label)).toBe(wanted);
  });
});

describe("robots.txt", () => {
  test.each([
    ["", "/a", true],
    ["User-agent: *\nDisallow: /", "/a", false],
    ["User-agent: *\nDisallow: /\n\nUser-agent: noctem\nAllow: /", "/a", true],
    ["User-agent: other\nDisallow: /", "/a", true],
    ["user-agent: NOCTEM\ndisallow: /a\nallow: /a/b", "/a/b", true],
    ["user-agent: NOCTEM\ndisallow: /a\nallow: /a/b", "/a/c", false],
    ["User-agent: *\nDisallow: /*.php$", "/x.php", false],
    ["User-agent: *\nDisallow: /*.php$", "/x.php?y", true],
    ["User-agent: *\nDisallow: /", "/robots.txt", true],
    ["<html>a page instead</html>", "/a", true],
    [`User-agent: *\nDisallow: /${"*".repeat(3000)}b\nDisallow: /a`, "/a", false],
  ])("%j lets %s be read: %s", (rules, path, may) => {
    expect(mayRead(`https://site.example${path}`, rules)).toBe(may);
  });
});

describe("what nobody sees", () => {
  test.each([
    "display:none",
    "DISPLAY : NONE !important",
    "color:red;display:none",
    "dis/**/play:none",
    String.raw`d\69splay:none`,
    "visibility:hidden",
    "opacity:0",
    "opacity:.0",
    "font-size:0px",
    "position:absolute;left:-9999px",
    "text-indent:-5000em",
    "clip:rect(0,0,0,0)",
    "clip-path:inset(50%)",
    "transform:scale(0)",
    "color:transparent",
    "color:rgba(0,0,0,0)",
    "max-height:0",
    `color:red;${" ".repeat(5000)}`,
  ])("a style of %j", (style) => {
    expect(isHiding({ style: style.slice(0, 6000) })).toBe(true);
  });
  test.each([
    "",
    "display:block",
    "opacity:0.5",
    "left:-5px",
    "font-size:10px",
    "color:rgba(0,0,0,.5)",
    "max-height:100px",
    "margin:0",
    "background:url(x;y)",
  ])("is not a style of %j", (style) => {
    expect(isHiding({ style })).toBe(false);
  });
});

describe("a page as Markdown", () => {
  test.each([
    ["a script", "<script>bad</script>"],
    ["a style", "<style>bad{}</style>"],
    ["a comment", "<!-- bad -->"],
    ["what only those without scripts see", "<noscript>bad</noscript>"],
    ["a template", "<template>bad</template>"],
    ["hidden", "<div hidden>bad <b>bad</b></div>"],
    ["hidden, never closed inside", "<div hidden><p>bad<p>bad</div>"],
    ["aria-hidden", '<span aria-hidden="true">bad</span>'],
    ["a style", '<p style="display:none">bad</p>'],
    ["a picture's source", '<img src="https://evil.example/?bad">'],
    ["what a form holds", '<textarea>bad</textarea><select><option>bad</select><input value="bad">'],
    ["a title of an element", '<p title="bad">x</p>'],
    ["a vector picture", "<svg><text>bad</text></svg>"],
  ])("is without %s", (_name, html) => {
    const page = text(`<body><p>before</p>${html}<p>after</p></body>`);
    expect(page).toContain("before");
    expect(page).toContain("after");
    expect(page).not.toContain("bad");
  });

  test("is without what takes no room and what turns the writing around", () => {
    const page = text("<p>o\u200bn\u2060e &#8238;two&#x202c; t\u00adhree \u{e0041}\u{e0042} f\u{fe0f}our &#xe001;</p>");
    expect(page).toBe("one two three four");
  });

  test("keeps headings, links, lists, tables and code", () => {
    const page = text(`<h2>Head</h2><p>See <a href="../b?c=1&amp;d=2#e">this</a> &lt;b&gt; and <code>x &amp; y</code>.</p>
      <ul><li>one<ol start="3"><li>three</ol><li>two</ul>
      <table><tr><th>a<th>b<tr><td>1|2<td>x<br>y<tr><td><td>z</table>
      <pre><code class="language-js">let a = "\`";\n  b();\n</code></pre><blockquote>said</blockquote>`);
    expect(page).toContain("## Head\n\nSee [this](https://site.example/b?c=1&d=2#e) <b> and `x & y`.");
    expect(page).toContain("-   one\n    3.  three");
    expect(page).toContain("| a | b |\n| --- | --- |\n| 1\\|2 | x y |\n|  | z |");
    expect(page).toContain('```js\nlet a = "`";\n  b();\n```');
    expect(page).toContain("> said");
  });

  test("a table that is there for the layout comes one cell after the other", () => {
    expect(text("<table><tr><td><h2>left</h2>text<td><ul><li>right</ul></table>")).toBe("## left\n\ntext\n\n-   right");
  });

  test("has its main part, and all of it where there is none", () => {
    const words = "A sentence of the article that is long enough to count as one, with a comma. ".repeat(8);
    const page = text(
      `<nav>${"<a href=/x>menu</a> ".repeat(30)}</nav><article><p>${words}</p><p>${words}</p></article><footer>imprint</footer>`,
    );
    expect(page).toContain("A sentence of the article");
    expect(page).not.toContain("menu");
    expect(text("<nav>menu</nav><p>short</p>")).toBe("menu\n\nshort");
  });

  test("a picture is what it says, and nothing that a viewer would fetch", () => {
    expect(text('<p><img src="https://evil.example/x" alt="A [cat]"></p>')).toBe("[picture: A cat]");
  });

  test("links that run something lead nowhere", () => {
    expect(text('<p><a href="javascript:alert(1)">a</a> <a href="data:text/html,x">b</a></p>')).toBe("a b");
  });

  test("a title is one line, whatever stands in it", () => {
    expect(markdownOf("<title>One\n  two<b>three</title><p>x", AT).title).toBe("One two<b>three");
  });

  test.each([
    ['<meta http-equiv="refresh" content="0; url=/new">', "https://site.example/new"],
    ["<META HTTP-EQUIV=Refresh CONTENT=\"3;URL='https://other.example/'\">", "https://other.example/"],
    ['<meta http-equiv="refresh" content="0; url=javascript:alert(1)">', null],
    ['<meta http-equiv="refresh" content="60; url=/new">', null],
    ['<meta http-equiv="refresh" content="0">', null],
    ['<meta http-equiv="refresh" content="0; url=page#part">', null],
    ['<div hidden><meta http-equiv="refresh" content="0; url=/new"></div>', null],
    ['<meta name="refresh" content="0; url=/new">', null],
  ])("%s leads to %s", (html, to) => {
    expect(markdownOf(html, AT).leadsTo).toBe(to);
  });

  test("base is where links are seen from, if it is of the web", () => {
    expect(text('<base href="/other/"><p><a href="x">a</a>')).toBe("[a](https://site.example/other/x)");
    expect(text('<base href="javascript:"><p><a href="x">a</a>')).toBe("[a](https://site.example/docs/x)");
  });
});

describe("pages that are made to be too much", () => {
  test.each([
    ["30,000 levels", `${"<div>".repeat(30_000)}bottom${"</div>".repeat(30_000)}`, "bottom"],
    ["100,000 levels", `<p>top</p>${"<div>".repeat(100_000)}bad${"</div>".repeat(100_000)}`, "top"],
    ["10,000 levels of what is hidden", `<p>top</p><div hidden>${"<b>".repeat(10_000)}bad`, "top"],
    ["100,000 entities", `<p>${"&lt;".repeat(100_000)}</p>`, "<<<<"],
    ["100,000 attributes", `<p ${Array.from({ length: 100_000 }, (_, at) => `a${at}=1`).join(" ")}>words`, "words"],
    ["nested quotes of many lines", `${"<blockquote>".repeat(50)}${"x<br>".repeat(3000)}`, "> x"],
    ["nested tables", `${"<table><tr><td>".repeat(2000)}bottom`, "bottom"],
    ["a million spaces", `<pre>a${" ".repeat(1_000_000)}b</pre>`, "b"],
    ["as many that do not break", `<p>a${"&nbsp;".repeat(100_000)}${"\u00a0".repeat(500_000)}b`, "b"],
    ["unfinished", "<div><p>words<b", "words"],
  ])("%s", (_name, html, seen) => {
    const page = text(html);
    expect(page).toContain(seen);
    expect(page).not.toContain("bad");
    expect(page.length).toBeLessThan(html.length * 4 + 1000);
  });

  test("what is left out is said", () => {
    const { text: page, cut } = markdownOf(`<p>a</p><p>${"b".repeat(5_000_000)}</p><p>c</p>`, AT);
    expect(cut).toBe(true);
    expect(page.length).toBeLessThan(5_100_000);
    expect(page).not.toContain("c");
  });
});
