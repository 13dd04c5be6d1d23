BUN := .tools/node_modules/@oven/bun-linux-x64/bin/bun
.PHONY: build
build:
	@$(BUN) scripts/build.ts
