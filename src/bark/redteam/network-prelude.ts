/**
 * What scripts that attack the proxy begin with: its token, and ways to speak to it that no tool has. Python, because every byte matters. Each of the
 * functions opens one connection, says what it is given and returns everything that comes back.
 */
export const NETWORK_PRELUDE = String.raw`
import base64, os, socket, struct, sys, threading, time
_where = os.environ["HTTP_PROXY"].split("//")[1]
USER, TOKEN = _where.split("@")[0].split(":")
PROXY = ("127.0.0.1", int(_where.rsplit(":", 1)[1]))
def basic(user, token):
    return b"Proxy-Authorization: Basic " + base64.b64encode(("%s:%s" % (user, token)).encode()) + b"\r\n"
AUTH = basic(USER, TOKEN)
def b(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")
def dial():
    s = socket.create_connection(PROXY, 5)
    s.settimeout(1)
    return s
def rest(s):
    got = b""
    try:
        while True:
            part = s.recv(65536)
            if not part:
                break
            got += part
    except OSError:
        pass
    return got
def until(s, end):
    got = b""
    try:
        while not got.endswith(end):
            part = s.recv(1)
            if not part:
                break
            got += part
    except OSError:
        pass
    return got
def say(*parts, pause=0):
    s = dial()
    try:
        for part in parts:
            s.sendall(b(part))
            if pause:
                time.sleep(pause)
    except OSError:
        pass
    return rest(s)
def get(url, host, *fields, auth=AUTH, method="GET", body=b""):
    head = b"%s %s HTTP/1.1\r\nHost: %s\r\n" % (b(method), b(url), b(host))
    return say(head + auth + b"".join(b(f) + b"\r\n" for f in fields) + b"\r\n" + b(body))
def connect(target, *inside, auth=AUTH, fields=b""):
    s = dial()
    s.sendall(b"CONNECT %s HTTP/1.1\r\n" % b(target) + auth + b(fields) + b"\r\n")
    answer = until(s, b"\r\n\r\n")
    try:
        for part in inside:
            s.sendall(part)
    except OSError:
        pass
    return answer + rest(s)
def socks(host, port, *inside, user=USER, token=TOKEN, command=1, kind=3):
    s = dial()
    u, t, h = b(user), b(token), b(host)
    try:
        s.sendall(b"\5\1\2")
        got = s.recv(2)
        s.sendall(b"\1" + bytes([len(u)]) + u + bytes([len(t)]) + t)
        got += s.recv(2)
        s.sendall(bytes([5, command, 0, kind]) + (bytes([len(h)]) if kind == 3 else b"") + h + struct.pack(">H", port))
        got += s.recv(10)
        for part in inside:
            s.sendall(part)
    except OSError:
        pass
    return got + rest(s)
def hello(*names, together=False, record=16000, more=b""):
    def vec(x):
        return struct.pack(">H", len(x)) + x
    entries = [b"\0" + vec(b(n)) for n in names]
    lists = [b"".join(entries)] if together else entries
    ext = b"".join(b"\0\0" + vec(vec(e)) for e in lists) + b"\0\x2b" + vec(b"\2\3\4")
    body = b"\3\3" + bytes(32) + b"\0" + vec(b"\x13\1") + b"\1\0" + vec(ext)
    message = b"\1" + struct.pack(">I", len(body))[1:] + body + more
    return b"".join(b"\x16\3\1" + vec(message[i:i + record]) for i in range(0, len(message), record))
`;
