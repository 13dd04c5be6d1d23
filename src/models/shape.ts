import type { CatalogueModel } from "./catalogue.ts";
import type { ModelShape } from "./plan.ts";
import type { KnownFacts } from "./record.ts";

export const shapeOfFacts = (facts: KnownFacts): ModelShape => ({ ...facts, tied: facts.embeddingBytes > 0 && facts.outputBytes === 0 });

/** Bits an element takes in the input embedding, which mixes of quantisations treat apart. */
const EMBEDDING_BITS: Readonly<Record<string, { readonly own: number; readonly tied: number }>> = {
  Q4_K_M: { own: 4.5, tied: 6.5625 },
  Q4_1: { own: 5, tied: 8.5 },
};
const TYPICAL = { own: 4.5, tied: 6.5625 } as const;

/** From published figures. The tensors are the file less its header, which is mostly the vocabulary: about 40 bytes a token. */
export function shapeOfCatalogue(model: CatalogueModel): ModelShape {
  const bits = EMBEDDING_BITS[model.quantisation] ?? TYPICAL;
  const size = model.size ?? Math.round(model.parameters * 0.61);
  return {
    tensorBytes: size - model.vocabulary * 40,
    embeddingBytes: Math.round((model.vocabulary * model.embedding * (model.tied ? bits.tied : bits.own)) / 8),
    tied: model.tied,
    kvHeadSum: model.layers * model.kvHeads,
    keyLength: model.keyLength,
    valueLength: model.valueLength,
    embedding: model.embedding,
    vocabulary: model.vocabulary,
    context: model.context,
  };
}
