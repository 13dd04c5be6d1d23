/** The network of the stage: names, addresses and servers that stand for the internet and for what lies inside, all of them on this computer. */
import type { HostNetwork } from "../proxy/dial.ts";
import { ForbiddenListener, knock, type Knocks } from "./listener.ts";

const PUBLIC = "192.0.2.10";
const OTHER = "198.51.100.20";
/** Nobody answers there, so that the next address is tried. */
const DEAD = "203.0.113.9";

/** What the resolver says; of several lists one for each time that it is asked, and the last from then on. */
const NAMES: Readonly<Record<string, readonly (readonly string[])[]>> = {
  "allowed.example": [[PUBLIC]],
  "other.example": [[OTHER]],
  "private.example": [["10.20.30.40"]],
  "loop.example": [["127.0.0.1"]],
  "metadata.example": [["169.254.169.254"]],
  "carrier.example": [["100.64.1.1"]],
  "loop6.example": [["::1"]],
  "mapped.example": [["::ffff:10.20.30.40"]],
  "nat64.example": [["64:ff9b::a14:1e28"]],
  "sixtofour.example": [["2002:a14:1e28::1"]],
  "teredo.example": [["2001:0:4136:e378:8000:63bf:3fff:fdd2"]],
  "isatap.example": [["2001:db8::5efe:a14:1e28"]],
  "unique.example": [["fd00::10"]],
  "link6.example": [["fe80::1"]],
  "multicast.example": [["224.0.0.1"]],
  "zero.example": [["0.0.0.0"]],
  "mixed.example": [[DEAD, "10.20.30.40"]],
  "rebind.example": [[PUBLIC], ["10.20.30.40"]],
};

/** What the allowed server may never hear. */
const WORD = "SMUGGLED";
const MOST_HEARD = 64 << 10;

export class StageNetwork implements Disposable {
  readonly network: HostNetwork;
  readonly #asked = new Map<string, number>();
  readonly #servers;
  readonly #knocks: Knocks = new Map();
  #harm: string | null = null;

  constructor() {
    this.#servers = {
      allowed: Bun.listen<{ text: string }>({
        hostname: "127.0.0.1",
        port: 0,
        socket: {
          open: (socket) => void (socket.data = { text: "" }),
          data: (socket, bytes) => this.#heard(socket, Buffer.from(bytes).toString("latin1")),
        },
      }),
      other: new ForbiddenListener(null),
      inside: new ForbiddenListener(null),
    };
    this.network = {
      lookup: (name) => {
        const answers = NAMES[name];
        const time = this.#asked.get(name) ?? 0;
        this.#asked.set(name, time + 1);
        // The resolver of an ordinary host knows itself by every name that a number may have.
        return Promise.resolve(answers?.[Math.min(time, answers.length - 1)] ?? ["127.0.0.1"]);
      },
      connect: async (address, _port, socket, data) => {
        const { allowed, other, inside } = this.#servers;
        if (address === DEAD) throw new Error("nobody is there");
        const { port } = address === PUBLIC ? allowed : address === OTHER ? other : inside;
        return await Bun.connect({ hostname: "127.0.0.1", port, socket, data, allowHalfOpen: true });
      },
    };
  }

  #heard(socket: Bun.Socket<{ text: string }>, said: string): void {
    const { data } = socket;
    data.text = (data.text + said).slice(-MOST_HEARD);
    this.#knocks.get(data.text)?.();
    if (data.text.includes(WORD)) this.#harm ??= "what nobody judged got through to the allowed host";
    if (data.text.startsWith("\u0016") || !data.text.includes("\r\n\r\n")) return;
    const [, length = "0"] = /content-length: (\d+)/i.exec(data.text) ?? [];
    if (data.text.length - data.text.indexOf("\r\n\r\n") - 4 < Number(length)) return;
    const way = data.text.startsWith("GET /redirect") ? "302 Found\r\nLocation: http://other.example/" : "200 OK";
    // Not closed at once: who sends more on the same connection shall have it heard.
    socket.write(`HTTP/1.1 ${way}\r\nContent-Length: ${data.text.length}\r\n\r\n${data.text}`);
    setTimeout(() => socket.end(), 100);
    data.text = "";
  }

  begin(): void {
    this.#harm = null;
    this.#asked.clear();
    this.#servers.other.begin();
    this.#servers.inside.begin();
  }

  async harm(): Promise<string | null> {
    const { allowed, other, inside } = this.#servers;
    if (await other.reached()) return "it reached a host that it may not";
    if (await inside.reached()) return "it reached the inside of a network";
    // Twice: after the first time whoever came before is known to the server, after the second what they said was read.
    for (let time = 0; time < 2; time++)
      if (!(await knock({ hostname: "127.0.0.1", port: allowed.port }, this.#knocks))) return "the allowed host answers nobody any more";
    return this.#harm;
  }

  [Symbol.dispose](): void {
    const { allowed, other, inside } = this.#servers;
    allowed.stop(true);
    other[Symbol.dispose]();
    inside[Symbol.dispose]();
  }
}
