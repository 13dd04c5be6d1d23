import type { AuditLog, Draft } from "../audit/log.ts";
import type { ModelLibrary } from "../models/port.ts";
import type { SessionPort } from "../session/port.ts";

/** Loads that wait for the first message at most: a chat that says nothing may try models all day. */
const MOST_WAITING = 20;

/**
 * Writes down which models answered, by the hash of their files. Not before something of the conversation is in the heart: who only looked leaves no
 * trace. A log that cannot be written keeps nobody from talking; the loads then wait for the next message.
 */
export function logModels(session: SessionPort, library: ModelLibrary, log: AuditLog): Disposable {
  const waiting: Draft[] = [];
  let stored = false;
  let last = "";
  const flush = (): void => {
    if (!stored || waiting.length === 0 || session.view().store.kind !== "stored") return;
    if (log.write(waiting.map((draft) => ({ draft }))).ok) waiting.length = 0;
  };
  const note = async (name: string): Promise<void> => {
    const known = (await library.list()).find((model) => model.name === name);
    const digest = known?.sha256 ?? "";
    if (waiting.length < MOST_WAITING)
      waiting.push({
        kind: "model",
        role: "model",
        name: name.toWellFormed().slice(0, 300),
        digest: digest.slice(0, 2000),
        bytes: known?.size ?? 0,
      });
    flush();
  };
  const stop = session.subscribe((event) => {
    if (event.type === "message-appended") {
      stored = session.view().store.kind === "stored";
      flush();
    }
    // Each state of one load is told many times.
    if (event.type === "model" && event.state.kind === "ready" && event.state.name !== last) {
      last = event.state.name;
      void note(event.state.name);
    }
    if (event.type === "engine-restarted") last = "";
  });
  return {
    [Symbol.dispose]() {
      stop();
      flush();
      log.end("done");
    },
  };
}
