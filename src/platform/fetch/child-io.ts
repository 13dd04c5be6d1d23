/** What a fetching process has around it: one request on standard input, the proxy in its variables, and certificates. */
import { readFileSync } from "node:fs";

/** Bytes of a request. */
const MOST_INPUT = 1 << 20;

export async function readInput(): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const block of Bun.stdin.stream()) {
    text += decoder.decode(block, { stream: true });
    if (text.length > MOST_INPUT) return "";
  }
  return text;
}

/** As the cage set them. */
export const proxies = (): { readonly https: string | null; readonly http: string | null } => ({
  https: process.env["HTTPS_PROXY"] ?? null,
  http: process.env["HTTP_PROXY"] ?? null,
});

/** Where distributions keep whom they trust. */
const BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt"];

/**
 * Whom the computer trusts: a network that looks into its own people's traffic has its certificate there, and whom an administrator took out is out. Null where Bun's own list has to
 * do.
 */
export function systemCertificates(): string | null {
  for (const path of BUNDLES) {
    try {
      const text = readFileSync(path, "utf8");
      if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
    } catch {
      // Another distribution's.
    }
  }
  return null;
}

/** One line, written whole; then the process ends, whatever is still on its way. */
export async function answerAndEnd(line: string): Promise<never> {
  await Bun.write(Bun.stdout, `${line}\n`);
  process.exit(0);
}
