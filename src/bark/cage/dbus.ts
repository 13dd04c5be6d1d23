import * as v from "valibot";

/**
 * What of a person's session bus a cage may speak to. There is no bus in any cage; where a profile of the policy names a service, a filtering proxy of that run's own stands between.
 */

/** As programs register it: `org.example.Service`. No pattern, because a pattern opens what nobody thought of. */
const name = v.pipe(
  v.string(),
  v.maxLength(255),
  v.regex(/^[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+$/),
  v.check(
    (text) => !NEVER.some((prefix) => `${text}.`.startsWith(`${prefix}.`)),
    "this service starts programs or opens files outside of the cage",
  ),
);

/** Through each of these a program leaves its cage: they start others, hold keys, open files by asking, or speak for the bus itself. */
const NEVER = [
  "org.freedesktop.DBus",
  "org.freedesktop.systemd1",
  "org.freedesktop.portal",
  "org.freedesktop.impl",
  "org.freedesktop.secrets",
  "org.freedesktop.Flatpak",
  "org.freedesktop.PolicyKit1",
  "org.freedesktop.login1",
  "org.freedesktop.machine1",
  "org.freedesktop.PackageKit",
  "org.gnome.keyring",
  "org.gnome.Shell",
  "org.kde.kwalletd5",
  "org.kde.kwalletd6",
  "org.kde.KWin",
  "org.a11y",
  "ca.desrt.dconf",
];

/** `INTERFACE.METHOD@PATH`, `INTERFACE.*@PATH` or `*@PATH`, as xdg-dbus-proxy takes it; the path may end in a slash and a star. */
const rule = v.pipe(
  v.string(),
  v.maxLength(500),
  v.regex(/^(?:\*|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+(?:\.\*)?)@\/(?:\*|[A-Za-z0-9_]+(?:\/[A-Za-z0-9_]+)*(?:\/\*)?)?$/),
);

/** `see`: that it is there; `call`: these calls alone; `talk`: all of it; `own`: be it. */
export const DbusRule = v.variant("access", [
  v.strictObject({ name, access: v.picklist(["see", "talk", "own"]) }),
  v.strictObject({ name, access: v.literal("call"), calls: v.pipe(v.array(rule), v.minLength(1), v.maxLength(50)) }),
]);
export type DbusRule = v.InferOutput<typeof DbusRule>;

/** Inside; the one socket of a bus that a cage ever has. */
export const BUS_SOCKET = "/run/noctem/bus";
export const BUS_VARIABLE = "DBUS_SESSION_BUS_ADDRESS";

/** For xdg-dbus-proxy. Without `--filter` it would pass everything. */
export const proxyOptions = (rules: readonly DbusRule[]): readonly string[] => [
  "--filter",
  ...rules.flatMap((allowed) =>
    allowed.access === "call" ? allowed.calls.map((call) => `--call=${allowed.name}=${call}`) : [`--${allowed.access}=${allowed.name}`],
  ),
];

/** For a person. */
export const dbusLines = (rules: readonly DbusRule[]): readonly string[] =>
  rules.flatMap((allowed) =>
    allowed.access === "call" ? allowed.calls.map((call) => `${allowed.name}: ${call}`) : [`${allowed.name}: ${WORDS[allowed.access]}`],
  );
const WORDS = { see: "that it is there", talk: "everything it offers", own: "to be this service" } as const;
