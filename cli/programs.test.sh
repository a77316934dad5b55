#!/usr/bin/env bash
# Every program says its name and version, explains itself, and tells wrong usage from failure. Usage: programs.test.sh PROGRAM...
set -uo pipefail
failures=0
failed() { echo "FAILED: $*"; failures=$((failures + 1)); }
for program in "$@"; do
  name=$(basename "$program")
  version=$("$program" --version 2>&1) || failed "$name --version: exit status $?"
  [[ $version =~ ^$name\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || failed "$name --version says: $version"
  help=$("$program" --help 2>&1) || failed "$name --help: exit status $?"
  grep -q "^Usage: $name" <<<"$help" || failed "$name --help does not say 'Usage: $name'"
  wrong=$("$program" --nonsense 2>&1)
  status=$?
  ((status == 2)) || failed "$name --nonsense: exit status $status, not 2"
  grep -q -- --help <<<"$wrong" || failed "$name --nonsense does not say where to read on: $wrong"
  echo "looked at $version"
done
((failures == 0))
