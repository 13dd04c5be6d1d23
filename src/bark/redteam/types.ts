/**
 * An attack that a program in a cage makes, as a script. Scripts know the places of the stage as variables: `H` a home with secrets on the host, `W`
 * the workspace, `PORT` a port that listens on the host, `SOCK` a unix socket on the host, `HOST_PID` a process of the host.
 */
export interface Attack {
  readonly id: string;
  readonly group: Group;
  readonly language: "sh" | "python3";
  /**
   * Prints OPEN when it sees that it got through what nothing on the host would show. Whatever it prints, the stage is looked at afterwards: secrets
   * in the output, changed files, left processes and connections count as open.
   */
  readonly script: string;
  /** Before the cage is built: what an earlier call, or a stranger's archive, may have left in the workspace. */
  readonly plant?: readonly Planted[];
  /** The kernel may lack what is attacked: the script then prints ABSENT. */
  readonly mayBeAbsent?: true;
}

export type Group =
  | "files"
  | "protected names"
  | "terminal"
  | "processes"
  | "descriptors"
  | "sockets"
  | "syscalls"
  | "namespaces"
  | "resources"
  | "environment";

export type Planted =
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "file"; readonly path: string; readonly text: string };

export interface AttackResult {
  readonly id: string;
  readonly group: Group;
  readonly result: "held" | "open" | "simulated" | "skipped";
  /** What showed it, or why it could not be tried. */
  readonly reason: string;
}
