import { join } from "node:path";

/** What lies beside the program. All paths absolute; nothing here says that a file exists. */
export interface StickLayout {
  readonly root: string;
  readonly heart: string;
  readonly keys: string;
  readonly models: string;
  readonly adapters: string;
  readonly packs: string;
  readonly reservoir: string;
  readonly backups: string;
  /** What calls changed in workspaces, kept for taking it back. */
  readonly undo: string;
  /** What calls want to change in workspaces and a person has not decided yet. */
  readonly pending: string;
  readonly settings: string;
  /** What a parent lays over the policy of the build, signed; most sticks have none. */
  readonly policy: string;
  /** With it a parent's signatures are checked; absent where there is no parent. */
  readonly parentKey: string;
  /** The parent's secret half under a passphrase, where it was made on this stick and left here. */
  readonly parentSecret: string;
  readonly work: string;
}

/** `root` is the folder of the program; `heart` moves the heart, and with it its keys and backups, elsewhere. */
export function stickLayout(root: string, heart: string | null = null): StickLayout {
  const heartFile = heart ?? join(root, "heart.sqlite");
  const home = heart === null ? root : join(heartFile, "..");
  return {
    root,
    heart: heartFile,
    keys: join(home, "keys"),
    models: join(root, "models"),
    adapters: join(root, "adapters"),
    packs: join(root, "packs"),
    reservoir: join(root, "reservoir"),
    backups: join(home, "backups"),
    undo: join(home, "undo"),
    pending: join(home, "pending"),
    settings: join(root, "noctem.json"),
    policy: join(root, "policy.json"),
    parentKey: join(home, "keys", "parent.pub"),
    parentSecret: join(home, "keys", "parent.key"),
    work: join(root, "work"),
  };
}
