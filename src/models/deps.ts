import type { HostFacts } from "../config/host.ts";
import type { StickLayout } from "../config/layout.ts";
import type { Result } from "../lib/result.ts";
import type { Catalogue } from "./catalogue.ts";
import type { FindEnv } from "./host-finds.ts";
import type { ModelFiles, Network } from "./ports.ts";
import type { Greeting } from "./record.ts";
import type { Pace } from "./transfer.ts";

/** What the library needs to choose among models that are there. */
export interface LibraryDeps {
  readonly layout: StickLayout;
  readonly files: ModelFiles;
  readonly catalogue: Catalogue;
  /** Asked anew each time: memory comes and goes. */
  readonly host: () => HostFacts;
}

/** And to bring new ones in. */
export interface ShopDeps extends LibraryDeps {
  readonly network: Network;
  readonly pace: Pace;
  readonly env: FindEnv;
  /** Of Hugging Face or a mirror of it. */
  readonly endpoint: string;
  /** A fresh folder inside the models folder; leftovers of killed runs are swept. The error is one clause. */
  makeWorkFolder(): Promise<Result<string, string>>;
  /** ISO 8601. */
  readonly now: () => string;
  /** Says hello to a model and reports how it ends; null where it cannot be tried. */
  readonly greet: ((path: string, template: string | null, signal: AbortSignal) => Promise<Omit<Greeting, "at"> | null>) | null;
}
