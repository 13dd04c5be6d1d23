import { resolve } from "node:path";
import type { AuditLog } from "../audit/log.ts";
import type { StickLayout } from "../config/layout.ts";
import type { Explained } from "../headless/result-object.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type NamedSigner, readParentPublic, unlockParentKey } from "../platform/parent-key.ts";
import { auditFailureText } from "./audit-desk.ts";
import type { CommandIo } from "./command.ts";
import { ExitCode } from "./exit-code.ts";
import { unlockText } from "./parent-run.ts";
import { readSecret } from "./secret.ts";

/**
 * The parent's key, opened by its passphrase: from `key`, else from the stick. It has to be the key of this stick's parent. Each use stands in the log, wrong passphrases too.
 */
export async function unlockedParent(
  { layout, log }: { readonly layout: StickLayout; readonly log: AuditLog },
  { key, fd }: { readonly key: string | undefined; readonly fd: number | undefined },
  io: CommandIo,
): Promise<Result<NamedSigner, Explained>> {
  const parent = readParentPublic(layout.parentKey);
  if (!parent.ok) return err({ text: parent.error, code: ExitCode.DENIED });
  if (parent.value === null) return err({ text: "This stick has no parent: noctem parent keygen makes one.", code: ExitCode.USAGE });
  const passphrase = await readSecret(io, { fd, what: "passphrase of the parent's key", twice: false });
  if (!passphrase.ok) return passphrase;
  const path = key === undefined ? layout.parentSecret : resolve(io.cwd, key);
  const opened = await unlockParentKey(path, passphrase.value);
  const isOther = opened.ok && opened.value.publicKey.toHex() !== parent.value.publicKey.toHex();
  const outcome = !opened.ok ? opened.error.kind : isOther ? "another key" : null;
  const logged = log.parent({ what: outcome === null ? "key" : "refused", detail: outcome ?? "opened" });
  if (!logged.ok)
    return err({
      text: `Nothing was done, because it could not be written to the log: ${auditFailureText(logged.error)}`,
      code: ExitCode.HEART,
    });
  if (!opened.ok) return err(unlockText(opened.error));
  return isOther ? err({ text: `${path} is the key of another parent.`, code: ExitCode.DENIED }) : ok(opened.value);
}
