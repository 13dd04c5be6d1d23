import { withSession, type SessionRequest } from "./compose.ts";

/** The chat. Its parts are loaded while the heart opens. */
export async function runTui(request: SessionRequest): Promise<number> {
  const { startTui } = await import("../../tui/start-tui.tsx");
  return await withSession(request, "tui", async (session) => await startTui({ session, request }));
}
