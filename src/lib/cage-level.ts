/** How a process is held on this host. Recorded with everything that ran: nothing ever falls back silently. */
export const CAGE_LEVELS = ["namespaces", "landlock", "none"] as const;
export type CageLevel = (typeof CAGE_LEVELS)[number];
