# `make run` and `make test` are all a stranger needs: both set up, build and fetch what is missing, and do nothing slow the second time.
.DEFAULT_GOAL := help
BUN := .tools/bun

.PHONY: help run test build check bench e2e soak clean stick setup pack

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: build ## build if needed, fetch the starter model if there is none, start Noctem
	@sh scripts/starter-model.sh
	@sh scripts/run.sh

test: build ## everything the tests need, then all tests; the last line counts them
	@sh scripts/setup.sh --test-tools
	@sh scripts/starter-model.sh
	@$(BUN) scripts/test.ts

setup: ## Bun and the locked dependencies
	@sh scripts/setup.sh

build: setup ## dist/noctem
	@$(BUN) scripts/build.ts

check: setup ## types, lint, format, lock, unused code
	@$(BUN) scripts/test.ts check

e2e: build ## the tests on the executable alone
	@$(BUN) scripts/test.ts e2e

soak: build ## the long tests
	@sh scripts/setup.sh --test-tools
	@$(BUN) scripts/test.ts soak

bench: build ## measurements; AREA=… for one of them
	@$(BUN) scripts/bench/run.ts $(AREA)

stick: build ## DEST=FOLDER: put Noctem and its models on a stick, or bring them up to date
	@$(BUN) scripts/stick.ts "$(DEST)"

pack: setup ## NAME=vulkan or cuda: fetch a GPU build into dist/packs/
	@$(BUN) scripts/gpu-pack.ts "$(NAME)"

clean: ## what was built; models, conversations and keys in dist/ stay
	@rm -rf build coverage bench-results dist/noctem
