/** Bytes → text by what the header, the first bytes or the page itself say they are, in the order of the WHATWG's standard. Never fails: a character that is none becomes U+FFFD. */

/** Bytes in which a page says what it is written in. */
const PRESCAN = 4096;

export function decodeText(bytes: Uint8Array, headerCharset: string | null): string {
  const decoder = byMark(bytes) ?? decoderFor(headerCharset) ?? decoderFor(declared(bytes)) ?? null;
  if (decoder !== null) return decoder.decode(bytes);
  // Nobody says. What is no UTF-8 was, as a rule, written for Windows.
  const text = new TextDecoder("utf-8").decode(bytes);
  return text.includes("\ufffd") && isMostlyBroken(text, bytes.length) ? new TextDecoder("windows-1252").decode(bytes) : text;
}

function byMark([a, b, c]: Uint8Array): TextDecoder | null {
  if (a === 0xef && b === 0xbb && c === 0xbf) return new TextDecoder("utf-8");
  if (a === 0xfe && b === 0xff) return new TextDecoder("utf-16be");
  return a === 0xff && b === 0xfe ? new TextDecoder("utf-16le") : null;
}

function decoderFor(label: string | null): TextDecoder | null {
  if (label === null) return null;
  try {
    return new TextDecoder(label.trim() as never);
  } catch {
    return null;
  }
}

/** Of `<meta charset>`, `<meta http-equiv … content="…; charset=…">` or an XML declaration. */
function declared(bytes: Uint8Array): string | null {
  const head = new TextDecoder("windows-1252").decode(bytes.subarray(0, PRESCAN));
  const xml = /^\s*<\?xml[^>]{0,200}\bencoding\s*=\s*["']([\w.:-]{1,40})["']/i.exec(head)?.[1];
  const meta = /<meta\s[^>]{0,500}?\bcharset\s*=\s*["']?\s*([\w.:-]{1,40})/i.exec(head)?.[1];
  const label = xml ?? meta ?? null;
  // It was read as single bytes just now, so it cannot be what it says.
  return label !== null && /^utf-?16/i.test(label) ? "utf-8" : label;
}

/** One broken character in a long page is a broken character; in an older encoding every accent is one. */
const isMostlyBroken = (text: string, bytes: number): boolean =>
  (text.match(/\ufffd/gu)?.length ?? 0) > (text.match(/[^\0-\x7f\ufffd]/gu)?.length ?? 0) + bytes / 100_000;
