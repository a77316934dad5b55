#!/usr/bin/env bash
# Compiles the package to dist/, fetching the compiler (a development dependency; the package itself has none) where it is missing
# or another than package-lock.json says, and what tests need.
# Does nothing where dist/ is newer than all that it is made of.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

made=dist/.made
if [[ -f $made && -z $(find src test examples package.json package-lock.json tsconfig.json -newer "$made" -print -quit) ]]; then exit 0; fi
[[ -x node_modules/.bin/tsc && node_modules/.package-lock.json -nt package-lock.json ]] || npm ci --no-audit --no-fund --loglevel=error
rm -rf dist
node_modules/.bin/tsc -p .
touch "$made"
