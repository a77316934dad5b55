#!/usr/bin/env bash
# Compiles src/ to dist/src, what the manifests put into the pods, with the SDK's own compiler. `build.sh test` runs the unit tests too; exit status 77: skipped, and why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
sdk=../../sdk/typescript

for program in node npm; do command -v $program >/dev/null || { echo "skipped: $program is not installed; node 20 or newer is needed"; exit 77; }; done
"$sdk/build.sh"
mkdir -p node_modules/@orrery
ln -sfn "../../$sdk" node_modules/@orrery/sdk
"$sdk/node_modules/.bin/tsc" -p .
if [[ ${1:-} == test ]]; then exec node --test dist/test/*.test.js; fi
