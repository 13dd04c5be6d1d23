import { err, ok, type Result } from "../../lib/result.ts";
import { type Authority, inUrl, parseAuthority } from "./host.ts";

/**
 * Heads of HTTP/1 requests (RFC 9112), read by one strict grammar. Whatever two readers could take for two requests is refused: no head is passed on as it
 * came, a new one is written from what was read.
 */

/** Bytes of a head, its lines together. */
export const MOST_HEAD = 32 << 10;
const MOST_FIELDS = 100;

export interface Field {
  /** As it was written; compared without case. */
  readonly name: string;
  /** Latin-1: one character a byte. */
  readonly value: string;
}

export interface Head {
  readonly method: string;
  readonly target: string;
  readonly version: "1.0" | "1.1";
  readonly fields: readonly Field[];
}

export type HeadRead =
  | { readonly kind: "more" }
  /** `length`: of the head in bytes, with the empty line. */
  | { readonly kind: "head"; readonly head: Head; readonly length: number }
  | { readonly kind: "refused"; readonly reason: string };

const refused = (reason: string): HeadRead => ({ kind: "refused", reason });

/**
 * Of the bytes since the request's beginning; asked again with more of them until it is no longer `more`. `from`: how many were looked at before, so that a
 * head that comes byte by byte costs no more than one that comes at once.
 */
export function readHead(bytes: Uint8Array, from = 0): HeadRead {
  let length = 0;
  for (let at = Math.max(0, from - 1); at < bytes.length && length === 0; at++) {
    const byte = bytes[at];
    if (byte === LF && bytes[at - 1] !== CR) return refused("a line ends in half a line end");
    if (byte === CR && at + 1 < bytes.length && bytes[at + 1] !== LF) return refused("a line ends in half a line end");
    if (byte === 0) return refused("a NUL stands in it");
    if (byte === LF && bytes[at - 2] === LF) length = at + 1;
    // Before the first line: some servers skip it, and count lines differently from then on.
    if (byte === LF && at === 1) return refused("it begins with an empty line");
    if (at >= MOST_HEAD) return refused("its head is too long");
  }
  if (length === 0) return { kind: "more" };
  const head = parseHead(latin1(bytes.subarray(0, length - 4)));
  return head.ok ? { kind: "head", head: head.value, length } : refused(head.error);
}

const CR = 13;
const LF = 10;

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function parseHead(text: string): Result<Head, string> {
  const [first = "", ...lines] = text.split("\r\n");
  const [, method = "", target = "", version] = /^([^ ]+) ([\x21-\x7e]+) HTTP\/(1\.[01])$/.exec(first) ?? [];
  if (version === undefined || !TOKEN.test(method)) return err("its first line is no request of HTTP/1");
  if (lines.length > MOST_FIELDS) return err("it has too many fields");
  const fields: Field[] = [];
  for (const line of lines) {
    if (/^[ \t]/.test(line)) return err("a field goes on in the next line");
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    // "Content-Length : 5" is one field to some and another to others.
    if (!TOKEN.test(name)) return err("a field has no proper name");
    const value = line.slice(colon + 1).replaceAll(/^[ \t]+|[ \t]+$/g, "");
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) return err("a control character stands in a field");
    fields.push({ name, value });
  }
  return ok({ method, target, version: version as Head["version"], fields });
}

/** Values of a field, however it is written. */
export const valuesOf = ({ fields }: Head, name: string): readonly string[] =>
  fields.filter((field) => field.name.toLowerCase() === name).map(({ value }) => value);

export interface PlainRequest {
  readonly to: Authority;
  /** What is said to the server. */
  readonly head: Uint8Array;
  /** Bytes that follow. */
  readonly bodyBytes: number;
}

/** Whom a tunnel is wanted to. */
export function connectTarget(head: Head): Result<Authority, string> {
  const to = parseAuthority(head.target, null);
  if (!to.ok) return err(`the host cannot be read: ${to.error}`);
  if (lengthOf(head) !== null) return err("a request for a tunnel has no body");
  const [host, another] = valuesOf(head, "host");
  if (another !== undefined) return err("it has two Host fields");
  if (host === undefined) return to;
  const said = parseAuthority(host, to.value.port);
  const same = said.ok && said.value.host.text === to.value.host.text && said.value.port === to.value.port;
  return same ? to : err("its Host field names another host");
}

/**
 * A request to be passed on. `through`: a whole address in its first line, as proxies are asked; or a path alone, as servers are, in a tunnel that leads to
 * `through`.
 */
export function plainRequest(head: Head, through: "address" | Authority): Result<PlainRequest, string> {
  const target = through === "address" ? splitAddress(head.target) : pathOnly(head.target, through);
  if (!target.ok) return target;
  const { to, path } = target.value;
  const hosts = valuesOf(head, "host");
  if (hosts.length !== 1) return err(hosts.length === 0 ? "it has no Host field" : "it has two Host fields");
  const said = parseAuthority(hosts[0] ?? "", 80);
  if (!said.ok || said.value.host.text !== to.host.text || said.value.port !== to.port) return err("its Host field names another host");
  const length = lengthOf(head);
  if (typeof length === "string") return err(length);
  const kept = endToEnd(head);
  if (!kept.ok) return kept;
  const { method, version } = head;
  const host = `${inUrl(to.host)}${to.port === 80 ? "" : `:${to.port}`}`;
  const lines = [
    `${method} ${path} HTTP/${version}`,
    `Host: ${host}`,
    ...kept.value.map(({ name, value }) => `${name}: ${value}`),
    // One request a connection: where a request ends is then never a matter of opinion.
    "Connection: close",
  ];
  const text = `${lines.join("\r\n")}\r\n\r\n`;
  return ok({ to, head: Uint8Array.from(text, (character) => character.charCodeAt(0)), bodyBytes: length ?? 0 });
}

interface Target {
  readonly to: Authority;
  readonly path: string;
}

function splitAddress(target: string): Result<Target, string> {
  if (target.includes("#")) return err("its address has a fragment");
  const [, authority = "", rest] = /^http:\/\/([^/?]*)(.*)$/i.exec(target) ?? [];
  if (rest === undefined) return err("its address does not begin with http://");
  const to = parseAuthority(authority, 80);
  if (!to.ok) return err(`the host cannot be read: ${to.error}`);
  return ok({ to: to.value, path: rest.startsWith("/") ? rest : `/${rest}` });
}

const pathOnly = (target: string, to: Authority): Result<Target, string> =>
  target.startsWith("/") && !target.includes("#") ? ok({ to, path: target }) : err("its first line names no path");

/** Null without one; a sentence where its end is not certain. */
function lengthOf(head: Head): number | string | null {
  if (valuesOf(head, "transfer-encoding").length > 0) return "a body in pieces is not passed on";
  const [length, another] = valuesOf(head, "content-length");
  if (length === undefined) return null;
  if (another !== undefined) return "it has two lengths";
  return /^(?:0|[1-9]\d{0,14})$/.test(length) ? Number(length) : "its length is no number";
}

/** RFC 9110 7.6.1, and what would turn the connection into another protocol's. */
const HOP_BY_HOP = new Set(["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"]);
/** Fields that a request cannot lose: naming them in Connection is a known way to have a proxy drop them. */
const NEVER_DROPPED = new Set(["host", "content-length", "transfer-encoding", "authorization", "cookie"]);

function endToEnd(head: Head): Result<readonly Field[], string> {
  const named = new Set(
    valuesOf(head, "connection")
      .flatMap((value) => value.split(","))
      .map((name) => name.trim().toLowerCase()),
  );
  if ([...named].some((name) => NEVER_DROPPED.has(name))) return err("its Connection field names what belongs to the request");
  return ok(
    head.fields.filter(({ name }) => {
      const plain = name.toLowerCase();
      return !HOP_BY_HOP.has(plain) && !plain.startsWith("proxy-") && !named.has(plain);
    }),
  );
}
