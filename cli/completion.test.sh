#!/usr/bin/env bash
# Presses TAB, as a user would: in bash, and where they are installed in zsh and fish. Usage: completion.test.sh ORRERY
set -uo pipefail
program=${1:?usage: completion.test.sh ORRERY}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
# Stand-ins on the PATH: what a cluster and a mesh would answer, when asked as the words typed before say.
cat >"$work/bin/kubectl" <<'SH'
#!/bin/sh
case "$*" in
  *"-n shop"*"get processmeshes"*) echo processmesh.orrery.dev/basket ;;
  *"get processmeshes"*) echo processmesh.orrery.dev/demo ;;
  *"get namespaces"*) printf 'namespace/default\nnamespace/shop\n' ;;
  *get-contexts*) echo here ;;
esac
SH
cat >"$work/bin/orrery" <<SH
#!/bin/sh
case "\$*" in
  "--mesh demo -n shop processes "*) printf 'NAME\ncounter/far\n' ;;
  "processes "*) printf 'NAME\ncounter/near\n' ;;
  "classes "*) printf 'NAME\ncart\n' ;;
  *) exec "$program" "\$@" ;;
esac
SH
chmod +x "$work"/bin/*
export PATH=$work/bin:$PATH HOME=$work
failures=0

# What is typed (the last word is the one that TAB is pressed in) | what is offered.
cat >"$work/table" <<'TXT'
orrery ca|call cast
orrery |nodes processes classes tree top crashes trace groups registry publish call cast inspect kill stop state suspend resume release events attach app completion version
orrery --mesh demo c|classes crashes call cast completion
orrery -o |table wide json
orrery nodes --output w|wide
orrery --mesh |demo
orrery -n shop --mesh |basket
orrery --mesh=|demo
orrery -n |default shop
orrery --namespace s|shop
orrery --context |here
orrery completion |bash zsh fish
orrery call |counter/near
orrery --mesh demo -n shop kill |counter/far
orrery call counter/near |
orrery trace |counter/near
orrery crashes |counter/near
orrery top --by |mailbox age memory reductions messages
orrery tree --depth |0 1 2
orrery state |get set
orrery state get |counter/near
orrery state set counter/near --if|--if-version
orrery --mesh demo -n shop suspend |counter/far
orrery processes --class |cart
orrery processes --l|--limit --local
orrery kill --r|--reason
orrery nodes --t|--timeout
orrery attach --mesh demo --p|--port
orrery attach --mesh |demo
TXT

offered_bash() {
  bash --norc -c '
    source <(orrery completion bash)
    line=$1
    read -ra COMP_WORDS <<<"${line//=/ = }"
    [[ $line == *[\ ] ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    _orrery
    echo "${COMPREPLY[*]}"' bash "$1"
}
offered_zsh() {
  zsh -f -c '
    compdef() { :; }; compset() { :; }; _files() { :; }
    _describe() { print -r -- ${${(P)2}%%:*}; }
    compadd() { shift; local prefix=${words[CURRENT]#*=} each; print -r -- ${(M)@:#$prefix*}; }
    source <(orrery completion zsh)
    words=(${(s: :)1}); [[ $1 == *" " ]] && words+=("")
    CURRENT=$#words
    _orrery' zsh "$1"
}
offered_fish() {
  fish --no-config -c 'orrery completion fish | source; complete -C $argv[1] | string replace -r "\t.*" "" | string replace -r "^--[a-z]*=" ""' "$1" | paste -sd ' '
}
sorted() { tr ' ' '\n' <<<"$1" | sort | paste -sd ' '; }

for shell in bash zsh fish; do
  command -v $shell >/dev/null || { echo "$shell is not installed: its completion is not looked at"; continue; }
  while IFS='|' read -r typed expected; do
    got=$("offered_$shell" "$typed" 2>"$work/err")
    # zsh narrows its list down by itself.
    if [[ $shell == zsh && $typed == *[a-z] ]]; then got=$(tr ' ' '\n' <<<"$got" | grep "^${typed##*[ =]}" | paste -sd ' '); fi
    if [[ $(sorted "$got") != $(sorted "$expected") || -s $work/err ]]; then
      echo "FAILED: $shell: '$typed' offers '$got', not '$expected' $(cat "$work/err")"
      failures=$((failures + 1))
    fi
  done <"$work/table"
  echo "looked at $shell"
done
((failures == 0))
