import type { Socket, SocketHandler } from "bun";
import type { Gate, GateStep } from "../../bark/proxy/gate.ts";
import type { Authority } from "../../bark/proxy/host.ts";
import { PROXY_RULES } from "../../bark/proxy/verdict.ts";
import type { ProxyRequest, ReachLimits } from "../../bark/proxy/types.ts";
import { type Addresses, dial, type HostNetwork } from "./dial.ts";

/** Bytes of a whole run, in each direction. */
export interface Sums {
  up: number;
  down: number;
}

export interface LinkDeps {
  readonly limits: ReachLimits;
  readonly sums: Sums;
  readonly network: HostNetwork;
  readonly addresses: Addresses;
  readonly note: (request: ProxyRequest) => void;
  readonly gone: () => void;
}

/** Milliseconds that a last answer may take to be read. */
const LAST_WORDS = 2_000;

/** One connection of a program, `near`, and the one to a host that it leads to, `far`. What one end cannot take yet makes the other wait. */
export class Link {
  readonly #near: Socket<Link | null>;
  readonly #gate: Gate;
  readonly #deps: LinkDeps;
  readonly #started = performance.now();
  readonly #toNear: Outlet;
  #toFar: Outlet | null = null;
  #far: Socket<Link> | null = null;
  #lastByte = this.#started;
  /** Since when nothing more comes of it but what was answered. */
  #closing: number | null = null;
  #isOpen = false;
  /** What the host said before the program had said the right thing: no more than came before it was told to wait. */
  readonly #early: Uint8Array[] = [];
  #nearSaidAll = false;
  #up = 0;
  #down = 0;
  #isGone = false;

  constructor(near: Socket<Link | null>, gate: Gate, deps: LinkDeps) {
    this.#near = near;
    this.#gate = gate;
    this.#deps = deps;
    this.#toNear = new Outlet(
      near,
      () => (this.#isOpen ? this.#far?.resume() : undefined),
      () => this.#far?.pause(),
    );
  }

  heard(bytes: Uint8Array): void {
    if (this.#isGone) return;
    this.#lastByte = performance.now();
    const { sums, limits } = this.#deps;
    sums.up += bytes.length;
    if (sums.up > limits.upBytes) this.end(PROXY_RULES.limit, `More than ${limits.upBytes} bytes were to leave.`);
    else this.#do(this.#gate.take(bytes));
  }

  nearDrained(): void {
    this.#toNear.drained();
    this.#settle();
  }

  /** The program has said all that it will, and may still listen. */
  nearEnded(): void {
    this.#nearSaidAll = true;
    // Half a request will never be a whole one.
    if (!this.#gate.settled && !this.#gate.dialling) this.drop();
    else if (this.#isOpen) this.#toFar?.finish();
    this.#settle();
  }

  nearGone(): void {
    this.drop();
  }

  /** Refuses it from outside. */
  end(rule: string, reason: string): void {
    const said = this.#gate.settled || this.#gate.dialling;
    this.#do(this.#gate.end(rule, reason));
    // In the middle of something a page would be taken for a part of it.
    if (said) this.drop();
  }

  look(now: number): void {
    const { headMs, idleMs } = this.#deps.limits;
    if (this.#closing !== null) {
      if (now - this.#closing > LAST_WORDS) this.drop();
    } else if (!this.#gate.settled && !this.#gate.dialling) {
      if (now - this.#started > headMs) this.end(PROXY_RULES.limit, `It took longer than ${headMs} ms to say what it wants.`);
    } else if (!this.#gate.dialling && now - this.#lastByte > idleMs) {
      this.end(PROXY_RULES.limit, `Nothing was said for ${idleMs} ms.`);
    }
  }

  /** Ends both sides now, with whatever was on its way. */
  drop(): void {
    if (this.#isGone) return;
    this.#gone();
    this.#near.terminate();
    this.#far?.terminate();
  }

  #gone(): void {
    this.#isGone = true;
    const [up, down, ms] = [this.#up, this.#down, Math.round(performance.now() - this.#started)];
    this.#deps.note({ ...this.#gate.request, up, down, ms });
    if (this.#gate.second !== null) this.#deps.note({ ...this.#gate.second, up: 0, down: 0, ms });
    this.#deps.gone();
  }

  #do(steps: readonly GateStep[]): void {
    for (const step of steps) {
      if (this.#isGone) return;
      switch (step.kind) {
        case "answer":
          this.#toNear.write(step.bytes);
          break;
        case "dial":
          this.#near.pause();
          void this.#dial(step.to);
          break;
        case "forward":
          this.#up += step.bytes.length;
          this.#toFar?.write(step.bytes);
          break;
        case "open":
          this.#isOpen = true;
          for (const bytes of this.#early.splice(0)) this.#toNear.write(bytes);
          if (!this.#toNear.isHeld) this.#far?.resume();
          if (this.#nearSaidAll) this.#toFar?.finish();
          break;
        case "close":
          this.#closing ??= performance.now();
          this.#toNear.finish();
          break;
      }
    }
    this.#settle();
  }

  async #dial(to: Authority): Promise<void> {
    const { addresses, limits, network } = this.#deps;
    const until = performance.now() + limits.connectMs;
    const found = await addresses.of(to.host, limits.connectMs);
    if (this.#isGone) return;
    const dialled = found.ok ? await dial(network, to, found.value, until - performance.now(), FAR, this as Link) : found;
    if (this.#isGone) {
      if (dialled.ok) dialled.value.terminate();
      return;
    }
    this.#lastByte = performance.now();
    if (dialled.ok) {
      const far = dialled.value;
      this.#far = far;
      this.#toFar = new Outlet(
        far,
        () => this.#near.resume(),
        () => this.#near.pause(),
      );
      // A host that speaks first is heard when the program has said the right thing.
      far.pause();
    }
    this.#near.resume();
    this.#do(this.#gate.dialled(dialled.ok ? null : dialled.error));
    if (this.#nearSaidAll && !this.#gate.settled) this.drop();
  }

  farHeard(bytes: Uint8Array): void {
    if (this.#isGone) return;
    this.#lastByte = performance.now();
    const { sums, limits } = this.#deps;
    sums.down += bytes.length;
    this.#down += bytes.length;
    if (sums.down > limits.downBytes) this.end(PROXY_RULES.limit, `More than ${limits.downBytes} bytes were to come.`);
    else if (!this.#isOpen) this.#early.push(bytes);
    else this.#toNear.write(bytes);
  }

  farDrained(): void {
    this.#toFar?.drained();
    this.#settle();
  }

  farEnded(): void {
    this.#toNear.finish();
    this.#settle();
  }

  /** What it said last may still be on its way. */
  farGone(): void {
    this.#far = null;
    this.#toNear.finish();
    this.#settle();
  }

  /** Both directions have come to their end, or the one that was left has. */
  #settle(): void {
    if (this.#isGone || !this.#toNear.isFinished) return;
    if (this.#closing !== null || this.#far === null || this.#toFar?.isFinished === true) this.#leave();
  }

  /** With a proper end, so that nothing that was sent is lost. */
  #leave(): void {
    this.#gone();
    this.#far?.end();
    this.#near.end();
  }
}

const FAR: SocketHandler<Link> = {
  data: (far, bytes) => far.data.farHeard(bytes),
  drain: (far) => far.data.farDrained(),
  end: (far) => far.data.farEnded(),
  close: (far) => far.data.farGone(),
  error: (far) => far.data.farGone(),
};

/** Bytes that wait for one socket before the other is told to wait: enough that both always have something to do. What is read at once comes on top. */
const MOST_QUEUED = 1 << 20;

/** What goes out of one socket: as fast as it takes it, and no faster than that comes in from the other. */
class Outlet {
  readonly #socket: Socket<unknown>;
  readonly #go: () => void;
  readonly #wait: () => void;
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  #isHeld = false;
  #wantsEnd = false;
  #isFinished = false;

  /** `wait` and `go`: stop and go on reading where the bytes come from. */
  constructor(socket: Socket<unknown>, go: () => void, wait: () => void) {
    this.#socket = socket;
    this.#go = go;
    this.#wait = wait;
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  write(bytes: Uint8Array): void {
    if (this.#wantsEnd || bytes.length === 0) return;
    const taken = this.#queue.length > 0 ? 0 : Math.max(0, this.#socket.write(bytes));
    if (taken === bytes.length) return;
    this.#queue.push(bytes.subarray(taken));
    this.#queued += bytes.length - taken;
    if (this.#queued <= MOST_QUEUED || this.#isHeld) return;
    this.#isHeld = true;
    this.#wait();
  }

  drained(): void {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const taken = Math.max(0, this.#socket.write(first));
      this.#queued -= taken;
      if (taken < first.length) {
        this.#queue[0] = first.subarray(taken);
        break;
      }
      this.#queue.shift();
    }
    if (this.#isHeld && this.#queued <= MOST_QUEUED / 2) {
      this.#isHeld = false;
      this.#go();
    }
    if (this.#queue.length > 0) return;
    if (this.#wantsEnd) this.#end();
  }

  /** When all is out, the other end is told that there is no more. */
  finish(): void {
    if (this.#wantsEnd) return;
    this.#wantsEnd = true;
    if (this.#queue.length === 0) this.#end();
  }

  #end(): void {
    this.#isFinished = true;
    this.#socket.shutdown();
  }
}
