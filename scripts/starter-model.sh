#!/bin/sh
# Puts the starter model into dist/models/ when no model is there, with Noctem's own commands: what a person types is what is tested here.
# NOCTEM_STARTER=FILE takes it from a file. Always ends with 0: Noctem starts without a model too and says how to get one.
cd "$(dirname "$0")/.." || exit 1
for model in dist/models/*.gguf; do
  [ -e "$model" ] && exit 0
done
echo "starter model: SmolLM2-135M-Instruct (Apache-2.0, 98 MB) into dist/models/"
if [ -n "${NOCTEM_STARTER:-}" ]; then
  dist/noctem models import "$NOCTEM_STARTER" </dev/null
else
  dist/noctem models pull smollm2:135m-instruct-q4_1 </dev/null
fi || echo "starter model: not to be had now. Noctem works without; NOCTEM_STARTER=FILE takes it from a file."
exit 0
