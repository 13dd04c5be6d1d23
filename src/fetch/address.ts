import { inUrl, parseAuthority, type Authority } from "../bark/proxy/host.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** An address of the web that everybody reads in the same way. */
export interface WebAddress {
  /** Canonical, without a fragment. */
  readonly href: string;
  readonly scheme: "https" | "http";
  readonly authority: Authority;
  /** Scheme, host and port: what a connection, a robots.txt and a rule are for. */
  readonly origin: string;
}

/** Characters. */
export const LONGEST_ADDRESS = 2000;
const DEFAULT_PORT = { https: 443, http: 80 } as const;
/** Below it live mail, logins and other protocols that an address made with care can be made to speak. */
const FIRST_FREE_PORT = 1024;

/**
 * An address as somebody wrote it, or why it is none, as it follows "It". The host is read by our own parser and by the platform's, and both have to find the same:
 * a URL parser alone makes 127.0.0.1 of "0x7f.1", and a domain of full-width letters.
 */
export function webAddress(text: string): Result<WebAddress, string> {
  if (text.length > LONGEST_ADDRESS) return err(`is longer than ${LONGEST_ADDRESS} characters`);
  if (!text.isWellFormed() || /[\p{C}\s\\]/u.test(text)) return err("has characters that no address has");
  const [, written = "", authority = ""] = /^(https?):\/\/([^/?#]*)/i.exec(text) ?? [];
  const scheme = written.toLowerCase();
  if (scheme !== "https" && scheme !== "http") return err('does not begin with "https://" or "http://"');
  const parsed = parseAuthority(authority, DEFAULT_PORT[scheme]);
  if (!parsed.ok) return err(`has no host that can be asked: ${parsed.error}`);
  const { host, port } = parsed.value;
  if (port < FIRST_FREE_PORT && port !== 80 && port !== 443) return err(`names port ${port}, where no web server is`);
  const url = URL.parse(text);
  const origin = `${scheme}://${inUrl(host)}${port === DEFAULT_PORT[scheme] ? "" : `:${port}`}`;
  if (url === null || url.origin !== origin) return err("can be read in two ways");
  const href = `${origin}${url.pathname}${url.search}`;
  if (href.length > LONGEST_ADDRESS) return err(`is longer than ${LONGEST_ADDRESS} characters`);
  return ok({ href, scheme, authority: parsed.value, origin });
}

/** Of a `Location` or a link, seen from the page that it stands on; null when it leads nowhere on the web. */
export function resolved(link: string, base: string): string | null {
  if (link.length > LONGEST_ADDRESS * 2) return null;
  const url = URL.parse(link.trim(), base);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return null;
  return url.href.length <= LONGEST_ADDRESS ? url.href : null;
}
