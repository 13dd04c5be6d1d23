/** What the head of an answer says about what follows. */
export interface ContentType {
  /** In lower case, without parameters; "" when there is none. */
  readonly type: string;
  readonly charset: string | null;
  /** How it is read; null when it is no text. */
  readonly reading: "html" | "text" | null;
}

export function contentType(header: string | null): ContentType {
  const [first = "", ...parameters] = (header ?? "").slice(0, 500).split(";");
  const type = first.trim().toLowerCase();
  const charset = parameters.flatMap((parameter) => /^\s*charset\s*=\s*"?([\w.:-]{1,40})"?\s*$/i.exec(parameter)?.[1] ?? [])[0] ?? null;
  return { type, charset, reading: readingOf(type) };
}

function readingOf(type: string): ContentType["reading"] {
  if (type === "text/html" || type === "application/xhtml+xml") return "html";
  const isText = /^text\/[\w.+-]+$/.test(type) || /^application\/(?:[\w.-]+\+)?(?:json|xml)$/.test(type);
  return isText || OTHER_TEXTS.has(type) ? "text" : null;
}

const OTHER_TEXTS = new Set([
  "application/x-ndjson",
  "application/jsonl",
  "application/yaml",
  "application/toml",
  "application/javascript",
]);

export const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status);
