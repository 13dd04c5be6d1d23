import robotsParser from "robots-parser";

/** By which sites' rules know us (RFC 9309, 2.2.1). */
export const PRODUCT = "Noctem";

/** Bytes of a robots.txt that count; the standard wants at least 500 KiB. */
export const MOST_ROBOTS = 500 << 10;
/** Characters of a line. Rules are compared with the address character by character, so their length is work. */
const LONGEST_LINE = 2000;

/** Whether the site's rules let us read `url`. Who states no rules states no objection. */
export function mayRead(url: string, rules: string): boolean {
  // The rules themselves are for reading (RFC 9309, 2.2.2).
  if (url === robotsOf(url)) return true;
  const kept = rules
    .split(/\r\n|\r|\n/)
    .filter((line) => line.length <= LONGEST_LINE)
    .join("\n");
  return robotsParser(robotsOf(url), kept).isAllowed(url, PRODUCT) !== false;
}

export const robotsOf = (url: string): string => new URL("/robots.txt", url).href;
