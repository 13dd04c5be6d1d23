import type { AuditEntry } from "./entry.ts";

/** What an entry says, in one line for a person. What others wrote (paths, hosts, names) is in it as it stands: whoever prints it sanitises. */
export function describeEntry(entry: AuditEntry): string {
  switch (entry.kind) {
    case "genesis":
      return `begins, after ${entry.heads.length === 0 ? "nothing" : entry.heads.map(({ session, size }) => `${session.slice(0, 8)}:${size}`).join(", ")}`;
    case "intent":
      return `${entry.decision === "deny" ? "refused" : entry.decision === "ask" ? "to be asked about" : "allowed"}: ${entry.subject} ${entry.operation} ${entry.object} (${entry.rule})`;
    case "approval":
      return `${entry.answer} by ${entry.by}, of ${place(entry)}`;
    case "outcome":
      return `${entry.status}${entry.detail === "" ? "" : `: ${entry.detail}`}, of ${place(entry)}`;
    case "execution":
      return `ran in ${entry.level}, view ${entry.view}, ${entry.stopped === "" ? `code ${entry.code}` : `stopped: ${entry.stopped}`}, ${entry.wall} ms, of ${place(entry)}`;
    case "difference":
      return `${entry.applied} files written, ${entry.left} left out, ${entry.waiting} waiting, ${entry.refused} refused, of ${place(entry)}`;
    case "grant":
      return `standing permission ${entry.what} by ${entry.by}: ${entry.skill} ${entry.pattern}`;
    case "policy":
      return `policy ${short(entry.hash)}${entry.overlay === "" ? "" : `, with a parent's overlay ${short(entry.overlay)}`}`;
    case "model":
      return `${entry.role} loaded: ${entry.name}${entry.digest === "" ? "" : ` (${short(entry.digest)})`}`;
    case "sync":
      return `merged: ${entry.direction === "take" ? "took from" : "gave to"} replica ${entry.replica.slice(0, 8)} ${entry.messages} messages, ${entry.values} values, ${entry.entries} log rows`;
    case "heart":
      return `${entry.what}${entry.detail === "" ? "" : `: ${entry.detail}`}`;
    case "forget":
      return `forgot ${entry.count} of a ${entry.what}`;
    case "config":
      return `setting ${entry.name} ${entry.action}`;
    case "key":
      return `key ${short(entry.key)} signed ${entry.use}`;
    case "training":
      return `training: ${entry.what}${entry.detail === "" ? "" : `, ${entry.detail}`}`;
    case "parent":
      return `parent's key: ${entry.what}${entry.detail === "" ? "" : `, ${entry.detail}`}`;
    case "incident":
      return `INCIDENT ${entry.what}: ${entry.detail}`;
    case "end":
      return `ends (${entry.reason})`;
  }
}

const short = (hash: string): string => hash.slice(0, 16);
const place = ({ of, where }: { readonly of: number; readonly where?: string | undefined }): string =>
  where === undefined ? `entry ${of}` : `${where.slice(0, 8)}:${of}`;
