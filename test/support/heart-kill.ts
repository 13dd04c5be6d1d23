import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type OpenHeart } from "../../src/heart/open.ts";
import type { MessageId, SessionId } from "../../src/lib/brand.ts";
import { must, openIn, raw, talk, textOf } from "./heart.ts";

const CHILD = join(import.meta.dir, "heart-child.ts");

/** Starts a process that writes; it is told apart by its pid in each text. */
export const writer = (folder: string, count: number) =>
  Bun.spawn([process.execPath, CHILD, "write", folder, String(count)], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });

export interface Acknowledged {
  readonly session: SessionId;
  readonly id: MessageId;
}

/** Complete lines only: a line that was cut off by the kill was not acknowledged to anybody. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<Record<string, string>> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) yield JSON.parse(line) as Record<string, string>;
  }
}

/** Kills a writer after a random number of acknowledgements plus a random moment, and returns what it had acknowledged. */
export async function killOnce(folder: string, random: () => number): Promise<Acknowledged[]> {
  const child = writer(folder, 100_000);
  const acknowledged: Acknowledged[] = [];
  const after = Math.floor(random() * 25);
  let armed = false;
  for await (const line of lines(child.stdout)) {
    if (line["id"] !== undefined) acknowledged.push({ session: line["session"] as SessionId, id: line["id"] as MessageId });
    if (armed || acknowledged.length < after) continue;
    armed = true;
    setTimeout(() => child.kill("SIGKILL"), random() * 4);
  }
  await child.exited;
  return acknowledged;
}

/** What is lost, doubled or inconsistent in a heart that saw kills; empty when it is sound. */
export function faultsAfter(folder: string, acknowledged: readonly Acknowledged[]): string[] {
  const faults: string[] = [];
  using heart: OpenHeart = openIn(folder);
  const bySession = Map.groupBy(acknowledged, (entry) => entry.session);
  for (const [session, entries] of bySession) {
    const stored = new Map(heart.messages(session).map((message) => [message.id, message]));
    for (const { id } of entries) {
      const message = stored.get(id);
      if (message === undefined) faults.push(`lost ${id}`);
      else if (message.redacted || !/^\d+:\d+ x*$/.test(textOf(message))) faults.push(`altered ${id}`);
    }
    // One message may have been committed and its acknowledgement killed; never two.
    if (stored.size > entries.length + 1) faults.push(`${stored.size - entries.length} messages that nobody was told of`);
  }
  using db = raw(folder);
  const check = db.get("pragma integrity_check")?.["integrity_check"];
  if (check !== "ok") faults.push(String(check));
  const gaps = db.all(`select vv.actor from vv join (
      select actor, count(*) as n from (
        select actor, seq from message union all select actor, seq from cell union all select actor, seq from actor)
      group by actor) dots on dots.actor = vv.actor where dots.n > vv.seq`);
  if (gaps.length > 0) faults.push("a version vector behind its rows");
  const headless = db.get("select count(*) as n from message m where not exists (select 1 from message_body b where b.n = m.n)");
  if (headless?.["n"] !== 0) faults.push("messages without bodies");
  return faults;
}

const MERGER = join(import.meta.dir, "heart-merge-child.ts");

/** Two copies of a heart that went on apart, far enough that merging takes some milliseconds. */
export function divergedPair(folder: string): { readonly own: string; readonly other: string; readonly messages: number } {
  const [own, other] = [join(folder, "own"), join(folder, "other")];
  mkdirSync(own, { recursive: true });
  openIn(own)[Symbol.dispose]();
  cpSync(own, other, { recursive: true });
  for (const side of [own, other]) {
    using heart = openIn(side);
    for (let i = 0; i < 40; i++) {
      talk(heart, `${side === own ? "own" : "other"} ${i}`, "z".repeat((i * 531) % 5000));
      must(heart.state.set(`key ${i % 7}`, side));
      const task = must(heart.tasks.add({ title: `task ${i}` }));
      if (i % 3 === 0) must(heart.tasks.remove(task.id));
    }
  }
  return { own, other, messages: 80 };
}

/** Merges in a child that is killed at a random moment of it. Says whether it was acknowledged before. */
export async function killMerge(own: string, other: string, random: () => number, span: number): Promise<boolean> {
  const child = Bun.spawn([process.execPath, MERGER, own, other], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  for await (const chunk of child.stdout) {
    said += new TextDecoder().decode(chunk);
    if (said === "begin\n") setTimeout(() => child.kill("SIGKILL"), random() * span);
  }
  await child.exited;
  return said.includes("acknowledged");
}

/** Milliseconds from its beginning to its acknowledgement, in a child as fresh as those that are killed. */
export async function timeMerge(own: string, other: string): Promise<number> {
  const child = Bun.spawn([process.execPath, MERGER, own, other], { stdio: ["ignore", "pipe", "inherit"] });
  let [said, began, ended] = ["", 0, 0];
  for await (const chunk of child.stdout) {
    said += new TextDecoder().decode(chunk);
    if (began === 0 && said.startsWith("begin\n")) began = performance.now();
    if (said.includes("acknowledged")) ended = performance.now();
  }
  await child.exited;
  return ended - began;
}
