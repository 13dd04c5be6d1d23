/** The filtering proxy between a person's session bus and one run: xdg-dbus-proxy, which Flatpak is held by as well. A filter of our own would be a parser of a binary protocol more. */
import { existsSync, rmSync, statSync } from "node:fs";
import { proxyOptions, type DbusRule } from "../../bark/cage/dbus.ts";
import { err, ok, type Result } from "../../lib/result.ts";

export interface RunBus extends Disposable {
  /** On the host; for this run alone. */
  readonly socket: string;
}

export interface NoBus {
  readonly detail: string;
  readonly fix: string;
}

const PLACES = ["/usr/bin/xdg-dbus-proxy", "/usr/local/bin/xdg-dbus-proxy"];

/** Not by PATH, nor one that others may write: see `findBwrap`. */
export const findBusProxy = (): string | null => PLACES.find((path) => existsSync(path) && (statSync(path).mode & 0o022) === 0) ?? null;

/** Milliseconds until it says that it is ready; it takes five. */
const PATIENCE = 5000;

/** Starts one. It ends when it is disposed of, and when this process ends, whose end of the pipe it watches. */
export async function openBus(
  socket: string,
  rules: readonly DbusRule[],
  env: Readonly<Record<string, string | undefined>>,
  program = findBusProxy(),
): Promise<Result<RunBus, NoBus>> {
  if (program === null)
    return err({
      detail: "This call may speak to a D-Bus service, and what filters D-Bus is not installed here.",
      fix: "Install it: apt-get install xdg-dbus-proxy (or dnf, pacman, zypper: the package has that name).",
    });
  const address = busAddress(env);
  if (address === null)
    return err({
      detail: "This call may speak to a D-Bus service, and there is no session bus here.",
      fix: "Run it from a desktop session.",
    });
  const child = Bun.spawn([program, "--fd=3", address, socket, ...proxyOptions(rules)], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    env: {},
    cwd: "/",
  });
  const dispose = (): void => {
    child.kill("SIGKILL");
    rmSync(socket, { force: true });
  };
  const ready = await Promise.race([firstByte(child.stdio[3]), Bun.sleep(PATIENCE).then(() => false)]);
  if (ready && existsSync(socket)) return ok({ socket, [Symbol.dispose]: dispose });
  dispose();
  await child.exited;
  const said = (await child.stderr.text()).split("\n", 1)[0]?.slice(0, 300) ?? "";
  return err({
    detail: `The filter of D-Bus did not start: ${said === "" ? "it said nothing" : said}.`,
    fix: "See whether your session bus answers.",
  });
}

async function firstByte(fd: number | null | undefined): Promise<boolean> {
  if (typeof fd !== "number") return false;
  for await (const bytes of Bun.file(fd).stream()) if (bytes.length > 0) return true;
  return false;
}

function busAddress(env: Readonly<Record<string, string | undefined>>): string | null {
  const named = env["DBUS_SESSION_BUS_ADDRESS"];
  if (named !== undefined && named !== "") return named;
  const usual = `${env["XDG_RUNTIME_DIR"] ?? ""}/bus`;
  return env["XDG_RUNTIME_DIR"] !== undefined && existsSync(usual) ? `unix:path=${usual}` : null;
}
