import { approvalsCommand } from "./approvals.ts";
import { auditCommand } from "./audit.ts";
import { barkCommand } from "./bark.ts";
import { chatCommand } from "./chat.ts";
import type { Command } from "./command.ts";
import { completionsCommand } from "./completions.ts";
import { configCommand } from "./config.ts";
import { doctorCommand } from "./doctor.ts";
import { heartCommand } from "./heart.ts";
import { initCommand } from "./init.ts";
import { modelsCommand } from "./models.ts";
import { parentCommand } from "./parent.ts";
import { sessionsCommand } from "./sessions.ts";
import { versionCommand } from "./version.ts";

/** All commands. The root is the chat itself. */
export function commandTree(): Command {
  return {
    ...chatCommand,
    commands: [
      modelsCommand,
      sessionsCommand,
      heartCommand,
      barkCommand,
      approvalsCommand,
      auditCommand,
      parentCommand,
      initCommand,
      configCommand,
      doctorCommand,
      completionsCommand,
      versionCommand,
    ],
  };
}
