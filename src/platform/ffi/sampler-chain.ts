/** llama.cpp's samplers, put together as node-llama-cpp's addon puts them together: the same seed then gives the same tokens. */
import { dlopen, type Pointer } from "bun:ffi";

export interface ChainSettings {
  /** 0 is greedy, and nothing else counts then. */
  readonly temperature: number;
  readonly topP: number;
  /** 0 and less: the whole vocabulary. */
  readonly topK: number;
  readonly minP: number;
  readonly seed: number;
}

/** Draws from the same random numbers from one token to the next. */
export interface SamplerChain extends Disposable {
  readonly address: Pointer | bigint;
  /** Only when nobody samples with it any more. */
  [Symbol.dispose](): void;
}

export interface Samplers {
  /** `vocabulary`: how many tokens there are. `null` where llama.cpp does not make what it was asked for. */
  chain(settings: ChainSettings, vocabulary: number): SamplerChain | null;
}

/** Tokens that `topP` and `minP` must leave over. */
const AT_LEAST = 1n;

/** Throws where a function is missing. */
export function openSamplers(llamaPath: string): Samplers {
  const llama = dlopen(llamaPath, {
    // `struct llama_sampler_chain_params` is one `_Bool`: without measuring times.
    llama_sampler_chain_init: { args: ["bool"], returns: "ptr" },
    llama_sampler_chain_add: { args: ["ptr", "ptr"], returns: "void" },
    llama_sampler_chain_n: { args: ["ptr"], returns: "i32" },
    llama_sampler_init_greedy: { args: [], returns: "ptr" },
    llama_sampler_init_top_k: { args: ["i32"], returns: "ptr" },
    llama_sampler_init_top_p: { args: ["f32", "u64"], returns: "ptr" },
    llama_sampler_init_min_p: { args: ["f32", "u64"], returns: "ptr" },
    llama_sampler_init_temp: { args: ["f32"], returns: "ptr" },
    llama_sampler_init_dist: { args: ["u32"], returns: "ptr" },
    llama_sampler_free: { args: ["ptr"], returns: "void" },
  }).symbols;

  /** In the addon's order (`AddonSampler::rebuildChainIfNeeded`), without what Noctem never asks for. */
  const samplers = ({ temperature, topP, topK, minP, seed }: ChainSettings, vocabulary: number): readonly (Pointer | bigint | null)[] => {
    if (temperature <= 0) return [llama.llama_sampler_init_greedy()];
    return [
      llama.llama_sampler_init_top_k(topK <= 0 ? vocabulary : Math.min(topK, vocabulary)),
      ...(topP < 1 ? [llama.llama_sampler_init_top_p(topP, AT_LEAST)] : []),
      ...(minP > 0 ? [llama.llama_sampler_init_min_p(minP, AT_LEAST)] : []),
      llama.llama_sampler_init_temp(temperature),
      llama.llama_sampler_init_dist(seed),
    ];
  };

  return {
    chain(settings, vocabulary) {
      const address = llama.llama_sampler_chain_init(true);
      if (address === null) return null;
      const dispose = (): void => llama.llama_sampler_free(address);
      const wanted = samplers(settings, vocabulary);
      for (const sampler of wanted) if (sampler !== null) llama.llama_sampler_chain_add(address, sampler);
      if (llama.llama_sampler_chain_n(address) === wanted.length) return { address, [Symbol.dispose]: dispose };
      dispose();
      return null;
    },
  };
}
