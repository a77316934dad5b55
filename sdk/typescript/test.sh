#!/usr/bin/env bash
# Builds the package if need be, and runs its tests on what was built. Exit status 77: skipped, and why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

skip() { echo "skipped: $*"; exit 77; }
command -v node >/dev/null || skip "node is not installed; 20 or newer is needed"
major=$(node -p 'process.versions.node.split(".")[0]')
((major >= 20)) || skip "node is $(node --version); 20 or newer is needed"
if [[ ! -f dist/.made ]] && ! command -v npm >/dev/null; then skip "dist/ is not built, and there is no npm to build it with"; fi
if command -v npm >/dev/null; then ./build.sh; fi
exec node --test --enable-source-maps dist/test/*.test.js dist/examples/*.test.js
