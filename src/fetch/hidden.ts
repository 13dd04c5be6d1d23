/**
 * Whether an element's own attributes keep it, and all that is in it, from being seen. Style sheets are not applied: what a class hides is read. That is a limit, and no
 * more than one, because whatever stands on a page is text from outside in any case.
 */
export function isHiding(attributes: Readonly<Record<string, string>>): boolean {
  if (attributes["hidden"] !== undefined) return true;
  if (attributes["aria-hidden"]?.trim().toLowerCase() === "true") return true;
  const style = attributes["style"];
  return style !== undefined && declarationsOf(style).some(([name, value]) => hides(name, value));
}

/** Characters of a style. A longer one hides something by its length alone. */
const LONGEST_STYLE = 4000;

function declarationsOf(style: string): readonly (readonly [string, string])[] {
  if (style.length > LONGEST_STYLE) return [["display", "none"]];
  const plain = style
    .replaceAll(/\/\*[\s\S]*?(?:\*\/|$)/g, "")
    // "\64 isplay" is "display" to a browser.
    .replaceAll(/\\([0-9a-f]{1,6})\s?|\\([^\n])/gi, (_, hex: string | undefined, other: string | undefined) =>
      hex === undefined ? (other ?? "") : String.fromCodePoint(Math.min(Number.parseInt(hex, 16), 0x10ffff)),
    )
    .toLowerCase();
  return plain.split(";").flatMap((declaration) => {
    const at = declaration.indexOf(":");
    return at < 0
      ? []
      : [
          [
            declaration.slice(0, at).trim(),
            declaration
              .slice(at + 1)
              .replace(/!\s*important/, "")
              .trim(),
          ] as const,
        ];
  });
}

const ZERO = /^[+-]?0*\.?0*(?:[a-z]+|%)?$/;
/** Beyond the edge of any screen. */
const FAR = /(?:^|[\s(])-\d{3,}(?:\.\d+)?(?:px|em|rem|vw|vh|%|pt|ch)/;

function hides(name: string, value: string): boolean {
  switch (name) {
    case "display":
      return value === "none";
    case "visibility":
      return value === "hidden" || value === "collapse";
    case "content-visibility":
      return value === "hidden";
    case "opacity":
    case "font-size":
    case "max-height":
    case "max-width":
    case "zoom":
      return ZERO.test(value) && /\d/.test(value);
    case "left":
    case "right":
    case "top":
    case "margin":
    case "margin-left":
    case "margin-top":
    case "text-indent":
      return FAR.test(value);
    case "clip":
      return /^rect\(\s*(?:[01](?:px)?[\s,]*){4}\)$/.test(value);
    case "clip-path":
      return /^inset\(\s*(?:50|100)%/.test(value);
    case "transform":
      return /\bscale[xy]?\(\s*0*\.?0*\s*[,)]/.test(value) || FAR.test(value);
    case "color":
    case "-webkit-text-fill-color":
      return value === "transparent" || /^rgba\([^)]*,\s*0*\.?0*\s*\)$/.test(value);
    case "mso-hide":
      return value === "all";
    default:
      return false;
  }
}
