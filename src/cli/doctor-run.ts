import { existsSync, statSync } from "node:fs";
import { dependencies } from "../../package.json";
import type { StickLayout } from "../config/layout.ts";
import { listBackups } from "../heart/care/rotate.ts";
import type { HeartError, HeartMode } from "../heart/port.ts";
import { ok, type Result } from "../lib/result.ts";
import { bubblewrap, gpuFacts, hostFacts, nativeTrial, userNamespaces } from "../platform/doctor-probes.ts";
import { filesystemOf } from "../platform/filesystem.ts";
import { heartDeps } from "../platform/heart.ts";
import type { CommandIo } from "./command.ts";
import {
  checkBackups,
  checkBubblewrap,
  checkClock,
  checkFilesystem,
  checkGpu,
  checkHeart,
  checkHost,
  checkKeys,
  checkModels,
  checkNamespaces,
  checkNative,
} from "./doctor-checks.ts";
import { engineCage } from "./doctor-children.ts";
import { type Finding, findingLine } from "./doctor-finding.ts";
import { settingsErrorText } from "./error-text.ts";
import { ExitCode } from "./exit-code.ts";
import { BUILD_DATE, openStickHeart } from "./heart-access.ts";
import { heartExists, loadSettings, stickOf } from "./stick.ts";

export async function runDoctor(
  args: { readonly json: boolean | undefined; readonly heart: string | undefined },
  io: CommandIo,
): Promise<number> {
  const layout = stickOf(io, args.heart);
  const findings: Finding[] = [];
  for await (const finding of examine(layout, io)) {
    findings.push(finding);
    if (!args.json) io.out(findingLine(finding, io));
    if (io.signal.aborted) return ExitCode.SIGINT;
  }
  const code = findings.find((finding) => finding.state === "broken")?.code ?? ExitCode.DONE;
  if (args.json)
    io.out(`${JSON.stringify({ findings: findings.map(({ name, state, text, fix }) => ({ name, state, text, fix })), code })}\n`);
  return code;
}

/** Each finding as soon as it is known: the trial of the libraries reads the whole program, off a slow stick for seconds. */
async function* examine(layout: StickLayout, io: CommandIo): AsyncGenerator<Finding> {
  yield* checkHost(hostFacts());
  yield checkClock(Date.now(), BUILD_DATE);
  const filesystem = filesystemOf(layout.root);
  yield checkFilesystem(layout, filesystem);
  yield settingsFinding(layout, io);
  yield checkHeart(layout, heartMode(layout));
  yield checkKeys(layout, {
    present: existsSync(layout.keys),
    heart: heartExists(layout),
    mode: filesystem.ok && filesystem.value.permissions ? modeOf(layout.keys) : null,
  });
  if (heartExists(layout)) {
    const deps = heartDeps();
    yield checkBackups(layout, listBackups(deps, layout.backups)[0]?.at ?? null, deps.clock.now());
  }
  yield checkNamespaces(await userNamespaces());
  yield checkBubblewrap(await bubblewrap());
  yield await engineCage(layout.models);
  yield* checkGpu(gpuFacts(layout.packs, dependencies["node-llama-cpp"]), layout);
  yield checkNative(nativeTrial());
  const { libraryOf } = await import("./library.ts");
  yield* checkModels(await libraryOf(layout).list());
}

function settingsFinding(layout: StickLayout, io: CommandIo): Finding {
  const loaded = loadSettings(layout, io, {});
  const base = { name: "settings", fix: null };
  if (!loaded.ok) {
    const { text, code } = settingsErrorText(loaded.error);
    return { ...base, state: "broken", text: text.replace(/\.$/u, ""), code: code as ExitCode };
  }
  const text = existsSync(layout.settings) ? layout.settings : "all defaults";
  return { ...base, state: "ok", text, code: ExitCode.DONE };
}

function heartMode(layout: StickLayout): Result<HeartMode | null, HeartError> {
  if (!heartExists(layout)) return ok(null);
  const opened = openStickHeart(layout);
  if (!opened.ok) return opened;
  using heart = opened.value;
  return ok(heart.mode);
}

function modeOf(path: string): number | null {
  try {
    return statSync(path).mode & 0o777;
  } catch {
    return null;
  }
}
