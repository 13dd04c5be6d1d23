/** A folder in memory that only this user can reach, made when it is first asked for and gone with its owner. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ownName } from "./native/owner.ts";
import { nativeRoots, unsafe } from "./native/roots.ts";

export class PrivateFolder implements Disposable {
  readonly #env: Readonly<Record<string, string | undefined>>;
  #path: string | null = null;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#env = env;
  }

  /** Throws where no folder can be made at all. */
  path(): string {
    if (this.#path !== null) return this.#path;
    let last: unknown = new Error("no folder for temporary files");
    for (const root of nativeRoots(this.#env, process.execPath)) {
      if (unsafe(root.path) !== null) continue;
      try {
        this.#path = mkdtempSync(join(root.path, ownName()));
        return this.#path;
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  [Symbol.dispose](): void {
    if (this.#path !== null) rmSync(this.#path, { recursive: true, force: true });
    this.#path = null;
  }
}
