/** The parent's key: what is written, what opens it, and what does not. With a cheap stretching: what it costs is tried once. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseVerifierKey, verifierKeyText } from "../../src/audit/verifier-key.ts";
import { auditCrypto } from "../../src/platform/audit-crypto.ts";
import { makeParentKey, publicHalf, publicLine, readParentPublic, STRETCHING, unlockParentKey } from "../../src/platform/parent-key.ts";
import { tempDir } from "../support/noctem.ts";

const { sha256, verify } = auditCrypto;
const CHEAP = { memory: 64, passes: 1 };

describe("a verifier key", () => {
  /** Of Go's checksum database, as its tools have it built in: the best known key of this format. */
  const KNOWN = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

  test("is read and written as others do", () => {
    const key = parseVerifierKey(`${KNOWN}\n`, sha256);
    expect(key?.name).toBe("sum.golang.org");
    expect(verifierKeyText(key ?? { name: "", publicKey: new Uint8Array(32) }, sha256)).toBe(KNOWN);
  });

  test("any slip makes it none", () => {
    const text = verifierKeyText({ name: "noctem-parent", publicKey: new Uint8Array(32).fill(7) }, sha256);
    expect(parseVerifierKey(text, sha256)).not.toBeNull();
    for (let at = 0; at < text.length; at++) {
      const changed = `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`;
      if (changed !== text) expect(parseVerifierKey(changed, sha256), changed).toBeNull();
    }
    for (const other of ["", "a+b+c", `${text} ${text}`, text.slice(0, -4), `${text}AAAA`, text.replace("+", " +"), "0".repeat(64)])
      expect(parseVerifierKey(other, sha256), other).toBeNull();
  });
});

describe("a parent's key file", () => {
  test("opens with its passphrase, however its accents were composed, and with no other", async () => {
    using dir = tempDir();
    const path = join(dir.path, "parent.key");
    const { file, key } = await makeParentKey("noctem-parent", "caf\u00e9 au lait", CHEAP);
    writeFileSync(path, file);
    expect(file).not.toContain("au lait");
    const opened = await unlockParentKey(path, "cafe\u0301 au lait");
    if (!opened.ok) throw new Error(opened.error.kind);
    const message = new TextEncoder().encode("anything");
    expect(verify(key.publicKey, message, opened.value.sign(message))).toBe(true);
    expect(opened.value.name).toBe("noctem-parent");
    for (const wrong of ["", "cafe au lait", "caf\u00e9 au lait "])
      expect(await unlockParentKey(path, wrong)).toMatchObject({ ok: false, error: { kind: "wrong-passphrase" } });
  });

  test("a changed digit anywhere keeps it closed, and a public half that was put there is not taken for the key's", async () => {
    using dir = tempDir();
    const path = join(dir.path, "parent.key");
    const { file } = await makeParentKey("noctem-parent", "passphrase", CHEAP);
    const value = JSON.parse(file) as Record<string, string> & { kdf: object };
    const other = auditCrypto.ephemeral().publicKey.toHex();
    const flipped = `${value["wrapped"]?.startsWith("0") === true ? "1" : "0"}${value["wrapped"]?.slice(1) ?? ""}`;
    for (const changed of [
      { ...value, wrapped: flipped },
      { ...value, public: other },
      { ...value, name: "somebody" },
      { ...value, kdf: { ...value.kdf, passes: 2 } },
    ]) {
      writeFileSync(path, JSON.stringify(changed));
      expect((await unlockParentKey(path, "passphrase")).ok).toBe(false);
    }
    for (const broken of [
      "{",
      "",
      JSON.stringify({ ...value, version: 2 }),
      // It would take eight gigabytes to say no to this.
      JSON.stringify({ ...value, kdf: { ...value.kdf, memory: 8 << 20 } }),
    ]) {
      writeFileSync(path, broken);
      expect(await unlockParentKey(path, "passphrase")).toMatchObject({ ok: false, error: { kind: "broken" } });
    }
    expect(publicHalf(join(dir.path, "none"))).toMatchObject({ ok: false, error: { kind: "missing" } });
  });

  test("a key on a stick takes 256 MiB and three passes for each guess", () => {
    expect(STRETCHING).toEqual({ memory: 262_144, passes: 3 });
  });

  test("what stands in keys/parent.pub and is none is an error, never no parent", () => {
    using dir = tempDir();
    const path = join(dir.path, "parent.pub");
    expect(readParentPublic(path)).toEqual({ ok: true, value: null });
    const key = { name: "noctem-parent", publicKey: auditCrypto.ephemeral().publicKey };
    writeFileSync(path, publicLine(key));
    expect(readParentPublic(path)).toEqual({ ok: true, value: key });
    for (const broken of ["", "\n", readFileSync(path, "utf8").slice(1)]) {
      writeFileSync(path, broken);
      expect(readParentPublic(path).ok, broken).toBe(false);
    }
    expect(readParentPublic(dir.path).ok).toBe(false);
  });
});
