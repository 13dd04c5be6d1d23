import { enginePlan, trainerPlan, UNHURRIED } from "../bark/cage/children.ts";
import type { Limits } from "../bark/cage/types.ts";
import type { ReachLimits } from "../bark/proxy/types.ts";
import { deviceFacts, programFacts, seenPaths } from "../platform/cage/own-facts.ts";
import { ProbeStage, probeChild, probePlan, type ProbeTools } from "../platform/cage/probe.ts";
import { fetchProgram } from "../platform/fetch/program.ts";
import { fetchPlan } from "../skills/web-fetch.ts";
import { checkChild } from "./doctor-cage.ts";
import type { Finding } from "./doctor-finding.ts";

const facts = (command: readonly string[]) => ({
  program: programFacts(command),
  machine: deviceFacts(process.env),
  env: { PATH: "/usr/bin:/bin" },
});

/** The engine's cage over this folder of models, with a probe in the engine's place. `known`: what is missing on this host and was said already. */
export async function engineCage(models: string, known = ""): Promise<Finding> {
  const probed = await probeChild((command) => enginePlan({ ...facts(command), models: seenPaths([models]) }), process.env);
  return checkChild("engine", probed, UNHURRIED.processes, known);
}

export async function trainerCage(models: string, known: string): Promise<Finding> {
  using stage = new ProbeStage();
  const dataset = { path: stage.secret, real: stage.secret };
  const plan = (command: readonly string[]) =>
    trainerPlan({ ...facts(command), bases: seenPaths([models]), dataset, output: stage.workspace });
  return checkChild("trainer", await probeChild(plan, process.env), UNHURRIED.processes, known);
}

/** The cage of what reads pages, with its way to the proxy, which opens nothing for a probe. */
export async function fetchCage(limits: Limits, reach: ReachLimits, tools: ProbeTools, known: string): Promise<Finding> {
  const { mounts } = fetchProgram();
  const probed = await probePlan((argv) => fetchPlan({ argv, mounts }, { hosts: [], limits: reach }, limits), tools);
  return checkChild("fetch", probed, limits.processes, known);
}
