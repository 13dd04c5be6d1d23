"""Checks a DSSE envelope with an in-toto statement, and an RFC 6962 inclusion proof, with nothing of Noctem's: Python's standard library and Ed25519 as RFC 8032
writes it down. Usage: dsse_check.py PUBLIC-KEY-HEX < envelope.json; dsse_check.py --proof < proof.json. Prints the predicate's type, or the entry's kind."""
import base64, hashlib, json, sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def recover(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    if x2 == 0:
        return None if sign else 0
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P:
        return None
    return P - x if (x & 1) != sign else x


def add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    p, q = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    r, s = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = q - p, s - r, s + r, q + p
    return e * f % P, g * h % P, f * g % P, e * h % P


def mul(n, point):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = add(out, point)
        point = add(point, point)
        n >>= 1
    return out


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point(data):
    n = int.from_bytes(data, "little")
    y = n & ((1 << 255) - 1)
    x = recover(y, n >> 255)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover(BASE_Y, 0), BASE_Y, 1, recover(BASE_Y, 0) * BASE_Y % P)


def verify(public, message, signature):
    a, r = point(public), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or len(signature) != 64:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return same(mul(s, BASE), add(r, mul(h, a)))


def check_envelope(public):
    envelope = json.load(sys.stdin)
    body = base64.b64decode(envelope["payload"], validate=True)
    kind = envelope["payloadType"].encode()
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)
    if not any(verify(public, message, base64.b64decode(line["sig"])) for line in envelope["signatures"]):
        sys.exit("bad signature")
    statement = json.loads(body)
    assert statement["_type"] == "https://in-toto.io/Statement/v1" and all(len(s["digest"]["sha256"]) == 64 for s in statement["subject"])
    print(statement["predicateType"])


def root_of(leaf, index, size, path):
    """RFC 6962, 2.1.1, as a recursion from the top."""
    def walk(index, size, path):
        if size == 1:
            assert not path
            return hashlib.sha256(b"\0" + leaf).digest()
        k = 1 << ((size - 1).bit_length() - 1)
        if index < k:
            return hashlib.sha256(b"\1" + walk(index, k, path[:-1]) + path[-1]).digest()
        return hashlib.sha256(b"\1" + path[-1] + walk(index - k, size - k, path[:-1])).digest()
    return walk(index, size, path)


def check_proof():
    proof = json.load(sys.stdin)
    path = [base64.b64decode(h) for h in proof["proof"]]
    root = root_of(proof["entry"].encode(), proof["index"], proof["size"], path)
    origin, size, signed, *_ = proof["checkpoint"].split("\n")
    assert int(size) == proof["size"] and base64.b64decode(signed) == root, "not in the tree"
    text, _, lines = proof["checkpoint"].partition("\n\n")
    _, name, encoded = lines.split("\n")[0].split(" ")
    genesis = json.loads(proof["beginning"])
    assert name == origin and verify(bytes.fromhex(genesis["key"]), (text + "\n").encode(), base64.b64decode(encoded)[4:]), "not signed"
    certificate = json.dumps({"heart": genesis["heart"], "key": genesis["key"], "kind": "noctem-session-certificate", "session": genesis["session"], "version": 1}, separators=(",", ":"))
    assert verify(bytes.fromhex(genesis["stick"]), certificate.encode(), bytes.fromhex(genesis["certificate"])), "not certified"
    print(json.loads(proof["entry"])["kind"])


if __name__ == "__main__":
    check_proof() if sys.argv[1] == "--proof" else check_envelope(bytes.fromhex(sys.argv[1]))
