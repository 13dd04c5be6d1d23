/** A question that waits in the heart, as an edge shows it. */
export interface ShownApproval {
  readonly id: string;
  /** Of everything that is shown: an answer is to this and to nothing else. */
  readonly digest: string;
  readonly skill: string;
  readonly tier: number;
  /** Made safe when it was asked: what could hide or steer is spelled out. */
  readonly lines: readonly string[];
  /** What a rehearsal showed; null before one. */
  readonly rehearsal: readonly string[] | null;
  /** Whoever asked can try it first. */
  readonly mayRehearse: boolean;
  /** A yes takes the parent's PIN or passphrase as well. */
  readonly needsParent: boolean;
  /** Whole seconds until it is a no. */
  readonly secondsLeft: number;
}

/** Questions of the heart, whoever asks them: another terminal's `bark run`, later the agent. */
export interface ApprovalSource {
  /** The oldest first, a few; cheap enough for every second. */
  waiting(): readonly ShownApproval[];
  /** The sentence is for the person; null where there is nothing to say. `secret`: the parent's, where one is needed. */
  answer(answer: ApprovalAnswer): Promise<string | null>;
  /** False where it cannot be had. */
  rehearse(id: string): boolean;
}

export interface ApprovalAnswer {
  readonly id: string;
  readonly digest: string;
  readonly answer: "allowed" | "denied";
  readonly secret: string | null;
  /** Of a no, for the model; null without one. */
  readonly reason: string | null;
}

/** Equal for whoever looks at them. */
export const sameApprovals = (a: readonly ShownApproval[], b: readonly ShownApproval[]): boolean =>
  a.length === b.length &&
  a.every((one, at) => {
    const other = b[at];
    return (
      other?.id === one.id &&
      other.digest === one.digest &&
      other.secondsLeft === one.secondsLeft &&
      other.needsParent === one.needsParent &&
      other.rehearsal?.join("\n") === one.rehearsal?.join("\n")
    );
  });
