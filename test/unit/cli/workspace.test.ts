import { expect, test } from "bun:test";
import { stickLayout } from "../../../src/config/layout.ts";
import { workspaceOf } from "../../../src/config/workspace.ts";

const stick = stickLayout("/media/stick");
const at = (cwd: string, layout = stick, rest: { asked?: string; setting?: string } = {}) => {
  const { path, because } = workspaceOf({ asked: rest.asked ?? null, setting: rest.setting ?? null, cwd, layout });
  return `${because} ${path}`;
};

test("the current folder, unless it holds or lies in Noctem's own files", () => {
  expect(at("/home/me/project")).toBe("current-folder /home/me/project");
  expect(at("/media/stick-2")).toBe("current-folder /media/stick-2");
  for (const own of ["/media/stick", "/media", "/", "/media/stick/models", "/media/stick/keys"])
    expect(at(own)).toBe("own-files /media/stick/work");
  expect(at("/media/stick/work")).toBe("current-folder /media/stick/work");
  expect(at("/media/stick/work/trip")).toBe("current-folder /media/stick/work/trip");
});

test("a heart elsewhere is its own file too", () => {
  const moved = stickLayout("/media/stick", "/home/me/hearts/a.sqlite");
  for (const own of ["/home/me/hearts", "/home/me", "/home/me/hearts/keys", "/home/me/hearts/backups"])
    expect(at(own, moved)).toBe("own-files /media/stick/work");
  expect(at("/home/me/project", moved)).toBe("current-folder /home/me/project");
});

test("what was asked for goes first, from here; the setting from the stick", () => {
  expect(at("/home/me", stick, { asked: "sub", setting: "notes" })).toBe("asked /home/me/sub");
  expect(at("/home/me", stick, { setting: "notes" })).toBe("setting /media/stick/notes");
});
