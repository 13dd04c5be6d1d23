/** What terminals take through OSC 52 without cutting it. */
const MOST = 74_000;

/** The sequence that hands `text` to the terminal's clipboard, null where it is too long for one; and what to say about it. */
export function toClipboard(text: string): { readonly sequence: string | null; readonly said: string } {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > MOST)
    return { sequence: null, said: `too long for the clipboard (${bytes.length} bytes); /export writes it to a file` };
  return { sequence: `\u001b]52;c;${bytes.toBase64()}\u0007`, said: `${bytes.length} bytes handed to the terminal's clipboard` };
}
