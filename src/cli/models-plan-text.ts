import type { PlanTable } from "../models/plan-table.ts";
import { forTerminal } from "../headless/terminal-text.ts";
import { bytesText } from "./bytes-text.ts";
import { durationText } from "./progress-line.ts";
import { columns } from "./text-table.ts";

const MIB = 2 ** 20;
const mib = (bytes: number): string => `${Math.round(bytes / MIB)}`;
const shortName = (name: string): string => forTerminal(name);

interface Choice {
  readonly quick: string | null;
  readonly task: string | null;
  readonly reason: string;
}

/** The plan for people: what one model takes, what two take, what is chosen. Memory in MiB, as llama.cpp and GPU tools count it. */
export function planText({ host, available, models, pairs }: PlanTable, auto: Choice, better: string | null): string {
  const gpu = host.gpu;
  const gpuText =
    gpu === null
      ? "no GPU"
      : `${gpu.name}${gpu.memory === null ? "" : ` with ${bytesText(gpu.memory)}`}${gpu.usable ? "" : " (no GPU pack on the stick)"}`;
  const head = [
    `This computer: ${host.cores} core${host.cores === 1 ? "" : "s"}, ${bytesText(host.totalMemory)} of memory, ${bytesText(host.availableMemory)} free, ${gpuText}.`,
    `A model may take ${mib(available)} MiB; the rest stays with the other programs.`,
  ];
  const rows = [
    ["model", "file", "context", "weights", "KV", "compute", "memory", "on a GPU", "fits", "load"],
    ...models.flatMap((model) =>
      model.needs.map(({ contextSize, ram, gpu: onGpu, fits }, index) => [
        index === 0 ? `${shortName(model.name)}${model.installed ? "" : " *"}` : "",
        index === 0 ? bytesText(model.size) : "",
        `${contextSize}`,
        mib(ram.weights),
        mib(ram.kv),
        mib(ram.compute),
        mib(ram.total),
        mib(onGpu.total),
        fits ? "yes" : "no",
        index > 0 ? "" : model.loadSeconds === null ? "-" : durationText(model.loadSeconds),
      ]),
    ),
  ];
  const table = columns(rows, ["left", "right", "right", "right", "right", "right", "right", "right", "left", "right"]);
  const both = pairs.map(({ task, quick, contextSize, ram, gpu: onGpu, fits }) => [
    `${shortName(task)} + ${shortName(quick)}`,
    `${contextSize}`,
    mib(ram),
    mib(onGpu),
    fits ? "yes" : "no",
  ]);
  const notes = [
    ...(models.some((model) => !model.installed) ? ["* not here yet; figures from its publisher."] : []),
    models.some((model) => model.loadSeconds !== null)
      ? "Load: from this stick, at the speed it was last read at."
      : `Load: not measured yet. At 20 MB/s, as cheap sticks read, 1 GB takes ${durationText(50)}.`,
  ];
  const chosen =
    auto.task === null
      ? `Chosen now: nothing. ${auto.reason}`
      : `Chosen now: ${auto.task === auto.quick ? auto.task : `${auto.task} for tasks, ${auto.quick} for quick chat`}. Why: ${auto.reason}`;
  return [
    ...head,
    "",
    table.trimEnd(),
    ...(both.length === 0
      ? []
      : [
          "",
          columns(
            [["both tiers together", "context", "memory", "on a GPU", "fits"], ...both],
            ["left", "right", "right", "right", "left"],
          ).trimEnd(),
        ]),
    "",
    ...notes,
    "Memory in MiB.",
    "",
    forTerminal(chosen),
    ...(better === null ? [] : [`"noctem models pull ${better}" fetches the one that suits this computer best.`]),
    "",
  ].join("\n");
}
