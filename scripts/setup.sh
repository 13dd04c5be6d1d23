#!/bin/sh
# Installs what the build needs into this folder: Bun from its npm package (no install script runs) and the locked dependencies. A second run does nothing.
# With --test-tools also the system packages that some tests use: installed when root, named otherwise. Works as root and as a user; never asks.
set -eu
cd "$(dirname "$0")/.."

BUN_VERSION=1.4.5
BUN=.tools/bun
LC_ALL=C
export LC_ALL

say() { printf '%s\n' "set-up: $*"; }
fail() { printf '%s\n' "set-up failed: $*" >&2; exit 1; }

bun_runs() { [ -x "$1" ] && [ "$("$1" --version 2>/dev/null)" = "$BUN_VERSION" ]; }

# Straight to the platform's package: the one named "bun" would run a script to find it. The baseline build is for processors that the first one refuses.
install_bun() {
  [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || fail "Noctem builds on x86-64 Linux; this is $(uname -s) $(uname -m)."
  command -v npm >/dev/null || fail "npm is missing. As root: apt-get install npm"
  for package in bun-linux-x64 bun-linux-x64-baseline; do
    say "Bun $BUN_VERSION (@oven/$package, by npm) into .tools/"
    npm install --prefix .tools --no-save --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error \
      "@oven/$package@$BUN_VERSION" >/dev/null || fail "npm could not install @oven/$package@$BUN_VERSION; its message is above."
    if bun_runs ".tools/node_modules/@oven/$package/bin/bun"; then
      ln -sfn "node_modules/@oven/$package/bin/bun" "$BUN"
      return
    fi
    say "it does not run on this processor"
  done
  fail "no build of Bun $BUN_VERSION runs here."
}

# A lock that names hosts would make every checkout ask the writer's registry; without, the one that is configured here is asked.
check_lock() {
  if grep -qE '[a-z]+://' bun.lock; then
    grep -nE '[a-z]+://' bun.lock | cut -c1-120 | head -3 >&2
    fail "bun.lock names a host. Make it again with the default registry."
  fi
}

install_dependencies() {
  key=$(cat package.json bun.lock bunfig.toml | sha256sum | cut -c1-64)
  if [ -d node_modules ] && [ "$(cat .tools/dependencies 2>/dev/null)" = "$key" ]; then return; fi
  say "dependencies as locked in bun.lock into node_modules/"
  # Without a home of our own (CI, service users) Bun's cache would have nowhere to be.
  [ -w "${HOME:-/nonexistent}" ] || { BUN_INSTALL_CACHE_DIR=$PWD/.tools/cache; export BUN_INSTALL_CACHE_DIR; }
  "$BUN" install --frozen-lockfile --ignore-scripts --no-progress --silent ||
    fail "the dependencies could not be installed; the message is above. Is the npm registry reachable?"
  printf '%s\n' "$key" >.tools/dependencies
}

# COMMAND PACKAGE, one a line: what some tests need and nothing else does.
TEST_TOOLS='tmux tmux
bwrap bubblewrap
faketime faketime
mkfs.exfat exfatprogs
mount.exfat-fuse exfat-fuse
mkfs.vfat dosfstools
losetup mount
strace strace
dbus-daemon dbus-daemon
dbus-send dbus-bin
xdg-dbus-proxy xdg-dbus-proxy'

missing_tools() {
  printf '%s\n' "$TEST_TOOLS" | while read -r command package; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null || printf '%s ' "$package"
  done
}

test_tools() {
  missing=$(missing_tools)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "for the tests, by apt-get: $missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
      { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1 || true
    missing=$(missing_tools)
    [ -n "$missing" ] || return 0
  fi
  say "not here: ${missing% } (the tests that need them are skipped; as root: apt-get install ${missing% })"
}

# The cage's helper is a small C program. Without a compiler everything but the skills that need a cage is built.
compiler() {
  command -v musl-gcc >/dev/null || command -v cc >/dev/null || python3 -c 'import ziglang' 2>/dev/null && return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "for the cage's helper, by apt-get: gcc libc6-dev"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null 2>&1 ||
      { apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev; } >/dev/null 2>&1 || true
    command -v cc >/dev/null && return 0
  fi
  say "no C compiler, so no cage for skills in this build (as root: apt-get install gcc libc6-dev; or: pip install ziglang)"
}

mkdir -p .tools
bun_runs "$BUN" || install_bun
check_lock
install_dependencies
compiler
if [ "${1:-}" = --test-tools ]; then test_tools; fi
