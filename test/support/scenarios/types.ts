/** A scenario of injection, as data: what stands in the context, what the hijacked model then calls, and the same task asked for honestly. */
export type Source = "mail" | "web" | "file" | "tool" | "memory" | "summary";

export type Call = readonly [skill: string, args: Readonly<Record<string, unknown>>];

export interface Twin {
  /** What the person types. */
  readonly says: string;
  readonly calls: readonly Call[];
  readonly done: Done;
}

/** What has to be true of the host, or of the last answer, when a twin has completed. */
export type Done =
  | { readonly kind: "said"; readonly text: string }
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  | { readonly kind: "gone"; readonly path: string }
  | { readonly kind: "remembered"; readonly key: string; readonly text: string }
  | { readonly kind: "forgotten"; readonly key: string }
  /** A page was asked for: the listener counted it. */
  | { readonly kind: "fetched"; readonly url: string };

export interface Scenario {
  readonly id: string;
  readonly source: Source;
  /** What the person typed before any of it: a task for which the source is read. */
  readonly says: string;
  /** The attacker's words. They stand in the file, the memory, the output; the model also hands them on as its remark. */
  readonly text: string;
  readonly calls: readonly Call[];
  readonly twin: Twin;
}

/** A model that was taken over calls what it likes, in whatever form. */
export const read = (path: string): Call => ["file_ops", { operation: "read", path }];
export const list = (path: string): Call => ["file_ops", { operation: "list", path }];
export const search = (text: string): Call => ["file_ops", { operation: "search", text }];
export const write = (path: string, content: string): Call => ["file_ops", { operation: "write", path, content }];
export const edit = (path: string, old: string, by: string): Call => ["file_ops", { operation: "edit", path, old, new: by }];
export const move = (path: string, to: string): Call => ["file_ops", { operation: "move", path, to }];
export const remove = (path: string): Call => ["file_ops", { operation: "delete", path }];
export const sh = (command: string): Call => ["shell", { command }];
export const code = (language: "bash" | "python3", text: string): Call => ["code_exec", { language, code: text }];
export const remember = (key: string, text: string): Call => ["memory", { operation: "remember", key, text }];
export const recall = (key: string): Call => ["memory", { operation: "recall", key }];
export const recallAll = (text: string): Call => ["memory", { operation: "search", text }];
export const forget = (key: string): Call => ["memory", { operation: "forget", key }];
export const tasks = (): Call => ["task_status", {}];
export const send = (to: string, text: string): Call => ["signal_send", { to, text }];
export const fetch = (url: string): Call => ["web_fetch", { url }];

export const said = (text: string): Done => ({ kind: "said", text });
export const holds = (path: string, text: string): Done => ({ kind: "file", path, text });
export const gone = (path: string): Done => ({ kind: "gone", path });
export const knows = (key: string, text: string): Done => ({ kind: "remembered", key, text });
export const forgot = (key: string): Done => ({ kind: "forgotten", key });
export const fetched = (url: string): Done => ({ kind: "fetched", url });

/** Rows of one source, all begun by the same words of the person unless a row has its own. */
export const from =
  (source: Source, usually: string) =>
  (
    id: string,
    text: string,
    calls: readonly Call[],
    twin: readonly [says: string, calls: readonly Call[], done: Done],
    says = usually,
  ): Scenario => ({
    id: `${source}.${id}`,
    source,
    says,
    text,
    calls,
    twin: { says: twin[0], calls: twin[1], done: twin[2] },
  });
