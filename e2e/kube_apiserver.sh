#!/usr/bin/env bash
# kube_apiserver.sh FILE: builds the API server of Kubernetes 1.20 from Debian's sources, in a way that can store custom resources.
#
# Kubernetes 1.20 comes with modern-go/reflect2 1.0.1, which reads maps as Go before 1.18 laid them out: built with a later Go, the
# API server dies when it stores its first custom resource. Debian 12 has sources of 1.20, Go 1.19 and reflect2 1.0.2, where that is
# mended. Takes some minutes; keeps what it built in $XDG_CACHE_HOME/orrery, by version. Needs root, to install packages.
set -euo pipefail

target=$1
packages=(golang-go golang-github-modern-go-reflect2-dev dpkg-dev make rsync jq)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/orrery
work=$(mktemp -d "${TMPDIR:-/tmp}/kube-apiserver.XXXXXX")
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
say() { echo "kube_apiserver.sh: $*" >&2; }

say "installing ${packages[*]}"
apt-get -q install -y --no-install-recommends "${packages[@]}" >"$work/apt.log" 2>&1 </dev/null || { tail -n 20 "$work/apt.log" >&2; exit 1; }

# Debian's source packages, without a change to the machine's own list of places to get packages from.
mkdir -p "$work/lists/partial"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main" >"$work/sources.list"
sources=(-q -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$work/lists" -o APT::Sandbox::User=root)
apt-get "${sources[@]}" update >>"$work/apt.log" 2>&1
version=$(apt-cache "${sources[@]}" showsrc --only-source kubernetes | sed -n 's/^Version: //p' | sort -V | tail -n 1)
built=$cache/kube-apiserver-$version
if [[ ! -x $built ]]; then
  say "fetching the sources of kubernetes $version"
  (cd "$work" && apt-get "${sources[@]}" source --download-only kubernetes >>apt.log 2>&1 && dpkg-source -x ./*.dsc source >>apt.log 2>&1) ||
    { tail -n 20 "$work/apt.log" >&2; exit 1; }
  cd "$work/source"
  reflect2=vendor/github.com/modern-go/reflect2
  rm -f $reflect2/*.go $reflect2/*.s
  cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} $reflect2/
  mkdir -p .go/src/k8s.io
  ln -s ../../.. .go/src/k8s.io/kubernetes
  say "building it: some minutes"
  HOME=$work GOPATH=$PWD/.go GOCACHE=$work/gocache PATH=/usr/lib/go/bin:$PATH CGO_ENABLED=0 make WHAT=cmd/kube-apiserver >"$work/make.log" 2>&1 ||
    { tail -n 20 "$work/make.log" >&2; exit 1; }
  mkdir -p "$cache"
  install -m 755 _output/local/go/bin/kube-apiserver "$built.$$"
  mv "$built.$$" "$built"
fi
install -m 755 "$built" "$target.new"
mv "$target.new" "$target"
say "$target is kubernetes $version"
