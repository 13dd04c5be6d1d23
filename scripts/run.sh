#!/bin/sh
# The end of `make run`: the TUI on a terminal; elsewhere one fixed question, so that a script or CI sees a model answer.
set -eu
cd "$(dirname "$0")/.."
if [ -t 0 ] && [ -t 1 ]; then exec dist/noctem; fi
question="What is the capital of France?"
printf '%s\n' "No terminal here, so one question: $question"
exec dist/noctem -p "$question" --temperature 0 --no-store
