/**
 * `bun scripts/screenshot.ts`: the picture of the README, from a real run. Starts the built program with the starter model in a terminal of
 * 80×24, asks two questions, and writes what stands on the screen to docs/images/chat.svg.
 */
import { Terminal, type IBufferCell } from "@xterm/headless";
import { copyFileSync, existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const MODEL = "smollm2-135m-instruct-q4_1.gguf";
const COLUMNS = 80;
const ROWS = 24;
const CELL = { width: 8.4, height: 18 };
/** The 16 colours of a terminal on a dark background. */
const PALETTE = [
  "#1c1c1c",
  "#d75f5f",
  "#87af5f",
  "#d7af5f",
  "#5f87d7",
  "#af87d7",
  "#5fafaf",
  "#c6c6c6",
  "#6c6c6c",
  "#ff8787",
  "#afd787",
  "#ffd787",
  "#87afff",
  "#d7afff",
  "#87d7d7",
  "#ffffff",
];
const INK = "#d0d0d0";
const PAPER = "#1c1c1c";

const stick = mkdtempSync(join(tmpdir(), "noctem-"));

async function picture(): Promise<string> {
  const model = join(ROOT, "dist/models", MODEL);
  if (!existsSync(model)) throw new Error(`there is no ${MODEL} in dist/models: make run fetches it`);
  mkdirSync(join(stick, "models"));
  copyFileSync(join(ROOT, "dist/noctem"), join(stick, "noctem"));
  linkSync(model, join(stick, "models", MODEL));
  const screen = new Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true });
  const environment = { PATH: "/usr/bin:/bin", TERM: "xterm-256color", LANG: "C.UTF-8", HOME: stick, COLORFGBG: "15;0" };
  const child = Bun.spawn([join(stick, "noctem"), "--temperature", "0", "--workspace", stick], {
    env: environment,
    terminal: { cols: COLUMNS, rows: ROWS, data: (_terminal, bytes) => screen.write(bytes) },
  });
  const ask = async (text: string, answer: RegExp) => {
    for (const character of text) {
      child.terminal?.write(character);
      await Bun.sleep(20);
    }
    child.terminal?.write("\r");
    await until(() => answer.test(rowsOf(screen).join("\n")));
    await Bun.sleep(1500);
  };
  await until(() => /t\/s|quick/u.test(rowsOf(screen).join("\n")));
  await ask("What is the capital of France?", /France is Paris/u);
  await ask("Write a Python function that adds two numbers.", /return/u);
  await Bun.sleep(4000);
  const svg = draw(screen);
  child.kill("SIGTERM");
  await child.exited;
  return svg;
}

async function until(seen: () => boolean): Promise<void> {
  for (let turn = 0; turn < 600; turn++) {
    if (seen()) return;
    await Bun.sleep(50);
  }
  throw new Error("the screen did not come to that");
}

const rowsOf = (screen: Terminal): string[] =>
  Array.from({ length: ROWS }, (_, row) => screen.buffer.active.getLine(row)?.translateToString(true) ?? "");

function draw(screen: Terminal): string {
  const texts: string[] = [];
  const boxes: string[] = [];
  for (let row = 0; row < ROWS; row++) {
    const line = screen.buffer.active.getLine(row);
    for (let column = 0; column < COLUMNS; column++) {
      const cell = line?.getCell(column);
      if (!cell || cell.getWidth() === 0) continue;
      const [x, y] = [column * CELL.width + 10, row * CELL.height + 10];
      if (cell.isInverse())
        boxes.push(`<rect x="${x.toFixed(1)}" y="${y}" width="${CELL.width + 0.2}" height="${CELL.height}" fill="${inkOf(cell)}"/>`);
      const characters = cell.getChars();
      if (characters.trim() !== "") texts.push(`<text x="${x.toFixed(1)}" y="${y + 13.5}"${styleOf(cell)}>${escaped(characters)}</text>`);
    }
  }
  const [width, height] = [COLUMNS * CELL.width + 20, ROWS * CELL.height + 20];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, monospace" font-size="14" fill="${INK}">
<rect width="${width}" height="${height}" rx="8" fill="${PAPER}"/>
${merged(boxes).join("\n")}
${texts.join("")}
</svg>
`;
}

const inkOf = (cell: IBufferCell): string => (cell.isFgPalette() ? (PALETTE[cell.getFgColor()] ?? INK) : INK);

function styleOf(cell: IBufferCell): string {
  const fill = cell.isInverse() ? PAPER : inkOf(cell);
  return `${fill === INK ? "" : ` fill="${fill}"`}${cell.isBold() ? ' font-weight="bold"' : ""}${cell.isDim() ? ' opacity=".6"' : ""}`;
}

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** The status line is one box, not eighty. */
function merged(boxes: readonly string[]): string[] {
  const first = boxes[0];
  return first === undefined || boxes.length < COLUMNS ? [...boxes] : [first.replace(/width="[\d.]+"/u, `width="${COLUMNS * CELL.width}"`)];
}

try {
  writeFileSync(join(ROOT, "docs/images/chat.svg"), await picture());
} finally {
  rmSync(stick, { recursive: true, force: true });
}
