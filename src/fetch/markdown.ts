import { Readability } from "@mozilla/readability";
import { parseHTML } from "linkedom";
import TurndownService from "turndown";
import { cleanPage, unescaped } from "./clean.ts";

export interface Markdown {
  readonly title: string;
  readonly text: string;
  /** The page had more than is read. */
  readonly cut: boolean;
  /** Where it sends its readers at once; null when it is for reading. */
  readonly leadsTo: string | null;
}

/** Elements up to which the main part of a page is looked for; the search is slow, and a page that long is mostly main part. */
const MOST_WEIGHED = 20_000;
/** Characters below which a main part may be a wrong guess, and the share of the whole that it then has to be. */
const SMALL_PART = 600;
const SMALL_SHARE = 0.5;

/** A page as Markdown: its main part where there is one, with headings, links, lists, tables and code. */
export function markdownOf(html: string, address: string): Markdown {
  const page = cleanPage(html, address);
  const part = page.elements > MOST_WEIGHED ? null : mainPart(page.body);
  const text = converter().turndown(part ?? bodyOf(page.body));
  return { title: page.title, text: tidied(text), cut: page.cut, leadsTo: page.leadsTo };
}

/** Of the document's model what is used here. The libraries speak of a browser's, which is none of our platform's types. */
interface PageNode {
  readonly textContent: string | null;
  getAttribute(name: string): string | null;
  closest(selector: string): PageNode | null;
  querySelector(selector: string): PageNode | null;
}

const documentOf = (body: string): { readonly body: PageNode } =>
  parseHTML(`<!doctype html><html><head></head><body>${body}</body></html>`).document;
const bodyOf = (body: string): PageNode => documentOf(body).body;

function mainPart(body: string): PageNode | null {
  const document = documentOf(body);
  const whole = (document.body.textContent ?? "").trim().length;
  const found = attempt(() => {
    const options = {
      maxElemsToParse: MOST_WEIGHED,
      charThreshold: 200,
      keepClasses: true,
      serializer: (node: unknown) => node as PageNode,
    };
    return new Readability<PageNode>(document, options).parse();
  });
  const length = found?.textContent?.trim().length ?? 0;
  if (found?.content === null || found?.content === undefined || length === 0) return null;
  return length < SMALL_PART && length < whole * SMALL_SHARE ? null : found.content;
}

/** It is a guess, made by foreign code over a hostile page: where it throws there is no main part. */
function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}

function converter(): TurndownService {
  const service = new TurndownService({
    headingStyle: "atx",
    codeBlockStyle: "fenced",
    bulletListMarker: "-",
    emDelimiter: "*",
    hr: "---",
  });
  service.addRule("strike", { filter: ["del", "s"], replacement: (content) => (content.trim() === "" ? "" : `~~${content}~~`) });
  // Whoever shows the text would fetch the picture, from an address that the page chose.
  service.addRule("picture", {
    filter: "img",
    replacement: (_, node) => {
      const alt = (node as unknown as PageNode).getAttribute("alt")?.replaceAll(/\s+/g, " ").trim() ?? "";
      return alt === "" ? "" : `[picture: ${alt.replaceAll(/[[\]]/g, "")}]`;
    },
  });
  addTables(service);
  return service;
}

/**
 * Tables as rows of cells. The plugins for it were written for a browser's `table.rows`. A table that holds lists, headings or tables is there for the layout:
 * its cells come one after the other.
 */
function addTables(service: TurndownService): void {
  const layouts = new WeakMap<PageNode, boolean>();
  const isLayout = (node: unknown): boolean => {
    const table = (node as PageNode).closest("table");
    if (table === null) return true;
    const known = layouts.get(table) ?? table.querySelector(BLOCKS) !== null;
    layouts.set(table, known);
    return known;
  };
  service.addRule("cell", {
    filter: ["td", "th"],
    replacement: (content, node) =>
      isLayout(node)
        ? `\n\n${content.trim()}\n\n`
        : ` ${content
            .trim()
            .replaceAll(/\s*\n\s*/g, " ")
            .replaceAll("|", "\\|")} |`,
  });
  service.addRule("row", {
    filter: "tr",
    replacement: (content, node) => (isLayout(node) ? content : `\n|${content.replaceAll("\n", " ")}`),
  });
  service.addRule("section", { filter: ["thead", "tbody", "tfoot"], replacement: (content) => content });
  service.addRule("caption", { filter: "caption", replacement: (content) => `\n\n${content.trim()}\n\n` });
  service.addRule("table", {
    filter: "table",
    replacement: (content, node) => {
      if (isLayout(node)) return `\n\n${content}\n\n`;
      const lines = content.split("\n").filter((line) => line.trim() !== "");
      const first = lines.findIndex((line) => line.startsWith("|"));
      const cells = (lines[first]?.match(/(?<!\\)\|/g)?.length ?? 1) - 1;
      if (cells < 1) return `\n\n${content}\n\n`;
      return `\n\n${lines.slice(0, first).join("\n")}\n\n${lines[first]}\n|${" --- |".repeat(cells)}\n${lines.slice(first + 1).join("\n")}\n\n`;
    },
  });
}

const BLOCKS = "table, pre, ul, ol, dl, blockquote, h1, h2, h3, h4, h5, h6";

const tidied = (text: string): string =>
  unescaped(text)
    .replaceAll(/[ \t\u00a0]+$/gmu, "")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trim();
