import { describe, expect, test } from "bun:test";
import { cosign, cosignedAt } from "../../../src/audit/cosign.ts";
import { openStatement, signStatement } from "../../../src/audit/attestation.ts";
import { parseEntry } from "../../../src/audit/entry.ts";
import { consistencyProof, inclusionProof, leafHash } from "../../../src/audit/merkle.ts";
import { keyId, openCheckpoint, parseNote, signNote } from "../../../src/audit/note.ts";
import { parseVerifierKey } from "../../../src/audit/verifier-key.ts";
import { auditCrypto, signingKey } from "../../../src/platform/audit-crypto.ts";

const { sha256, verify } = auditCrypto;
const utf8 = new TextEncoder();

describe("published vectors", () => {
  test("a signed note and its keys, from the documentation of Go's x/mod/sumdb/note", () => {
    const key = parseVerifierKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", sha256);
    const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const note = `${text}\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;
    const [line] = parseNote(note)?.signatures ?? [];
    expect(key?.name).toBe("PeterNeumann");
    expect(line?.bytes.slice(0, 4).toHex()).toBe("c74f20a3");
    expect(keyId(key ?? { name: "x", publicKey: new Uint8Array(32) }, sha256).toHex()).toBe("c74f20a3");
    expect(verify(key?.publicKey ?? new Uint8Array(), utf8.encode(text), line?.bytes.slice(4) ?? new Uint8Array())).toBe(true);
    // The seed of the same example signs the very same note.
    const seed = Uint8Array.fromBase64("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").slice(1);
    const signer = signingKey(seed);
    expect(signNote(text, { name: "PeterNeumann", publicKey: signer.publicKey }, signer.sign, sha256)).toBe(note);
  });

  test("Ed25519, RFC 8032, 7.1, test 1", () => {
    const signer = signingKey(Uint8Array.fromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
    expect(signer.publicKey.toHex()).toBe("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    expect(signer.sign(new Uint8Array()).toHex()).toBe(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
  });

  test("proofs of the reference implementation of RFC 6962", () => {
    const inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const leaves = inputs.map((hex) => leafHash(sha256, Uint8Array.fromHex(hex)));
    expect(inclusionProof(sha256, leaves, 0).map((hash) => hash.toHex())).toEqual([
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]);
    expect(consistencyProof(sha256, leaves, 6).map((hash) => hash.toHex())).toEqual([
      "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
  });
});

describe("notes", () => {
  const signer = auditCrypto.ephemeral();
  const key = { name: "noctem/test", publicKey: signer.publicKey };
  const text = `noctem/test\n5\n${new Uint8Array(32).toBase64()}\n`;
  const note = signNote(text, key, signer.sign, sha256);

  test("open for their key alone, in their one form alone", () => {
    expect(openCheckpoint(note, key, verify, sha256)?.size).toBe(5);
    const resign = (other: string) => signNote(other, key, signer.sign, sha256);
    for (const wrong of [
      note.replace("\n5\n", "\n6\n"),
      resign(text.replace("\n5\n", "\n05\n")),
      resign(`${text}extension\n`),
      resign(text.replace("AAAA", "AAA")),
      note.replace("noctem/test ", "noctem/tesu "),
      `${note}a line that is no signature\n`,
      note.trimEnd(),
      "",
    ])
      expect(openCheckpoint(wrong, key, verify, sha256)).toBeNull();
    expect(openCheckpoint(note, { ...key, publicKey: auditCrypto.ephemeral().publicKey }, verify, sha256)).toBeNull();
  });

  test("are cosigned with a time that nobody can move, and other signatures do not disturb", () => {
    const parent = { name: "parent", ...auditCrypto.ephemeral() };
    const cosigned = cosign(note, parent, 1_800_000_000, sha256);
    expect(openCheckpoint(cosigned, key, verify, sha256)?.size).toBe(5);
    expect(cosignedAt(cosigned, parent, verify, sha256)).toBe(1_800_000_000);
    expect(cosignedAt(note, parent, verify, sha256)).toBeNull();
    expect(cosignedAt(cosigned.replace("\n5\n", "\n6\n"), parent, verify, sha256)).toBe("invalid");
    const line = cosigned.split("\n").at(-2) ?? "";
    const bytes = Uint8Array.fromBase64(line.split(" ").at(-1) ?? "");
    bytes[11] = (bytes[11] ?? 0) + 1;
    expect(cosignedAt(cosigned.replace(line, `\u2014 parent ${bytes.toBase64()}`), parent, verify, sha256)).toBe("invalid");
    // A plain signature over the same text is no cosignature.
    expect(cosignedAt(signNote(text, parent, parent.sign, sha256), parent, verify, sha256)).toBeNull();
  });
});

describe("attestations", () => {
  const signer = auditCrypto.ephemeral();
  const statement = {
    subject: [{ name: "x", digest: { sha256: "0".repeat(64) } }],
    predicateType: "https://noctem.invalid/t",
    predicate: { a: 1 },
  };
  const envelope = signStatement(statement, signer, auditCrypto);

  test("open for their key, and say why not for another or with other words", () => {
    expect(openStatement(envelope, [signer.publicKey], auditCrypto)).toMatchObject({ kind: "signed", statement: { predicate: { a: 1 } } });
    expect(openStatement(envelope, [auditCrypto.ephemeral().publicKey], auditCrypto).kind).toBe("key");
    const parsed = JSON.parse(envelope) as { payload: string; payloadType: string };
    const other = Buffer.from(Buffer.from(parsed.payload, "base64").toString().replace('"a":1', '"a":2')).toString("base64");
    expect(openStatement(JSON.stringify({ ...parsed, payload: other }), [signer.publicKey], auditCrypto).kind).toBe("altered");
    expect(openStatement(JSON.stringify({ ...parsed, payloadType: "text/plain" }), [signer.publicKey], auditCrypto).kind).toBe("malformed");
    expect(openStatement("{}", [signer.publicKey], auditCrypto).kind).toBe("malformed");
  });

  test("the stick's signature under one kind of thing is none under another", () => {
    const body = Uint8Array.fromBase64((JSON.parse(envelope) as { payload: string }).payload);
    const [{ sig } = { sig: "" }] = (JSON.parse(envelope) as { signatures: { sig: string }[] }).signatures;
    expect(verify(signer.publicKey, body, Uint8Array.fromBase64(sig))).toBe(false);
  });
});

test("entries are one text for one thing, or nothing", () => {
  const entry = '{"hlc":1,"kind":"end","reason":"done","seq":1,"session":"00000000000000000000000000000000","version":1}';
  expect(parseEntry(entry)).toMatchObject({ kind: "end", seq: 1 });
  for (const wrong of [
    entry.replace('"seq":1', '"seq":1.0'),
    entry.replace('"seq":1', '"seq":1e0'),
    entry.replace('"seq":1', '"seq":-1'),
    entry.replace('"seq":1', '"seq":9007199254740993'),
    entry.replace('"hlc":1,', ""),
    entry.replace('"hlc":1,', '"hlc":1,"hlc":1,'),
    entry.replace('"done"', '"\\u0064one"'),
    entry.replace('"done"', '"\\ud800"'),
    entry.replace("{", '{"extra":1,'),
    ` ${entry}`,
    entry.replace('"version":1', '"version":2'),
    entry.replace('"kind":"end"', '"kind":"other"'),
    "null",
    "[]",
    "",
  ])
    expect(parseEntry(wrong)).toBeNull();
});
