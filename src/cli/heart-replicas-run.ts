import { forTerminal } from "../headless/terminal-text.ts";
import type { Replica } from "../heart/replicas.ts";
import { noteInLog } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { type HeartArguments, withDesk } from "./heart-desk.ts";
import { SHORT_ID } from "./heart-status-text.ts";
import { count } from "./time-text.ts";

export function retire(args: HeartArguments & { readonly replica: string }, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const retired = desk.copies.retire(args.replica);
    if (!retired.ok) return desk.refuse(retired.error, "replica");
    noteInLog(desk.layout, [{ kind: "heart", what: "retire", detail: retired.value.id }], io);
    const text = `${named(retired.value)} is retired: nothing waits for it any more. Should it come back, a sync takes what it has all the same.\n`;
    return desk.answer(retired.value, forTerminal(text));
  });
}

export function compact(args: HeartArguments, io: CommandIo): number {
  return withDesk(args, io, (desk) => {
    const compacted = desk.copies.compact();
    if (!compacted.ok) return desk.refuse(compacted.error);
    const { pruned, settled, waitingFor } = compacted.value;
    const done =
      pruned + settled === 0
        ? "Nothing could be compacted yet."
        : `Pruned ${count(pruned, "note")} of removed tasks, and settled ${count(settled, "ended writing session")}.`;
    const waiting =
      waitingFor.length === 0
        ? ""
        : `Waiting for ${waitingFor.map(named).join(", ")}: sync with ${waitingFor.length === 1 ? "it" : "them"}, or say that ${waitingFor.length === 1 ? "it" : "one"} will not come back: noctem heart retire REPLICA\n`;
    return desk.answer(compacted.value, forTerminal(`${done}\n${waiting}`));
  });
}

const named = ({ id, label }: Replica): string =>
  label === "" ? `replica ${id.slice(0, SHORT_ID)}` : `${label} (${id.slice(0, SHORT_ID)})`;
