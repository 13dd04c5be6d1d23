/**
 * Text of a model or a file, made harmless for a terminal: control characters and overrides of writing direction come out
 * spelled. In a pipe the answer is data and stays as it is; on a screen `ESC ] 52` would fill the clipboard.
 */
export function forTerminal(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are the point
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, spelled);
}

const spelled = (character: string): string => (character === "\r" ? "" : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
