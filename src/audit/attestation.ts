import * as v from "valibot";
import { canonicalJson, type Json } from "../lib/canonical-json.ts";
import type { CheckCrypto } from "./check.ts";

/**
 * What leaves Noctem as a statement about something: an in-toto statement (in-toto.io, version 1) in a DSSE envelope (secure-systems-lab/dsse), which
 * tools of others can check with the public key alone.
 */
export interface Statement {
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicateType: string;
  readonly predicate: Json;
}
export const PREDICATES = {
  report: "https://noctem.invalid/attestation/audit-report/v1",
  approval: "https://noctem.invalid/attestation/approval/v1",
  adapter: "https://noctem.invalid/attestation/adapter/v1",
} as const;

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const PAYLOAD_TYPE = "application/vnd.in-toto+json";
export const ATTESTATION_LIMIT = 8 << 20;

const Envelope = v.strictObject({
  payloadType: v.literal(PAYLOAD_TYPE),
  payload: v.pipe(v.string(), v.base64()),
  signatures: v.pipe(v.array(v.strictObject({ keyid: v.string(), sig: v.pipe(v.string(), v.base64()) })), v.minLength(1), v.maxLength(16)),
});
const StatementSchema = v.strictObject({
  _type: v.literal(STATEMENT_TYPE),
  subject: v.pipe(
    v.array(v.object({ name: v.string(), digest: v.object({ sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) }) })),
    v.minLength(1),
  ),
  predicateType: v.string(),
  predicate: v.unknown(),
});

/** Pre-authentication encoding: what is signed says its own type and length, so that it can be taken for nothing else. */
function encoded(body: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${body.length} `);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

const keyIdOf = (publicKey: Uint8Array, { sha256 }: Pick<CheckCrypto, "sha256">): string => sha256(publicKey).toHex();

/** One line of JSON. */
export function signStatement(
  { subject, predicateType, predicate }: Statement,
  key: { readonly publicKey: Uint8Array; readonly sign: (bytes: Uint8Array) => Uint8Array },
  crypto: Pick<CheckCrypto, "sha256">,
): string {
  const body = new TextEncoder().encode(
    canonicalJson({ _type: STATEMENT_TYPE, subject: subject as unknown as Json, predicateType, predicate }),
  );
  const sig = key.sign(encoded(body)).toBase64();
  return canonicalJson({
    payloadType: PAYLOAD_TYPE,
    payload: body.toBase64(),
    signatures: [{ keyid: keyIdOf(key.publicKey, crypto), sig }],
  });
}

export type OpenedStatement =
  | { readonly kind: "signed"; readonly statement: v.InferOutput<typeof StatementSchema>; readonly key: Uint8Array }
  /** altered: a known key is named and did not sign this. key: none of the keys is named. */
  | { readonly kind: "altered" | "key" | "malformed"; readonly detail: string };

export function openStatement(text: string, keys: readonly Uint8Array[], crypto: CheckCrypto): OpenedStatement {
  const envelope = v.safeParse(v.pipe(v.string(), v.parseJson(), Envelope), text);
  if (!envelope.success) return { kind: "malformed", detail: "It is no DSSE envelope with an in-toto statement." };
  const body = Uint8Array.fromBase64(envelope.output.payload);
  let named = false;
  for (const { keyid, sig } of envelope.output.signatures) {
    const key = keys.find((one) => keyIdOf(one, crypto) === keyid);
    if (key === undefined) continue;
    named = true;
    if (!crypto.verify(key, encoded(body), Uint8Array.fromBase64(sig))) continue;
    const statement = v.safeParse(v.pipe(v.string(), v.parseJson(), StatementSchema), new TextDecoder().decode(body));
    return statement.success
      ? { kind: "signed", statement: statement.output, key }
      : { kind: "malformed", detail: "What is signed is no in-toto statement." };
  }
  return named
    ? { kind: "altered", detail: "The signature is not over what it says." }
    : { kind: "key", detail: "It is signed by none of the keys that it is held against." };
}
