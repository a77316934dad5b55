#!/usr/bin/env bash
# An unmodified kubectl on the embedded cluster, as a user would type it. Usage: kubectl.test.sh ORRERY_LOCAL [KUBECTL]
set -uo pipefail
program=${1:?usage: kubectl.test.sh ORRERY_LOCAL [KUBECTL]}
kubectl=${2:-kubectl}
if ! command -v "$kubectl" >/dev/null; then
  echo "SKIPPED: no kubectl on this machine"
  exit 77
fi

work=$(mktemp -d)
"$program" --dir "$work/cluster" --backoff 0.2 >"$work/out" 2>"$work/err" &
cluster=$!
finish() {
  kill "$cluster" 2>/dev/null
  wait "$cluster" 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT
for _ in $(seq 100); do
  [ -s "$work/out" ] && break
  kill -0 "$cluster" 2>/dev/null || { echo "FAILED: the cluster did not start: $(cat "$work/err")"; exit 1; }
  sleep 0.1
done
export KUBECONFIG=$work/cluster/kubeconfig HOME=$work

failures=0
# expect DESCRIPTION PATTERN COMMAND...: the command's output (both streams) must match the extended regular expression.
expect() {
  local what=$1 pattern=$2 output
  shift 2
  output=$("$@" 2>&1)
  if grep -qE -- "$pattern" <<<"$output"; then
    echo "ok: $what"
  else
    echo "FAILED: $what: expected /$pattern/ of: $*"
    sed 's/^/    /' <<<"$output"
    failures=$((failures + 1))
  fi
}
k() { "$kubectl" "$@"; }
# until_match PATTERN COMMAND...: repeats for at most 20 s.
until_match() {
  local pattern=$1
  shift
  for _ in $(seq 100); do
    "$@" 2>&1 | grep -qE -- "$pattern" && break
    sleep 0.2
  done
  "$@"
}

cat >"$work/crd.yaml" <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.dev}
spec:
  group: test.dev
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wg], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    additionalPrinterColumns:
    - {name: Color, type: string, jsonPath: .spec.color}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    schema:
      openAPIV3Schema:
        type: object
        description: A widget for tests.
        properties:
          spec:
            type: object
            required: [color]
            properties:
              color: {type: string, enum: [red, green], description: What one sees.}
              replicas: {type: integer, minimum: 0, default: 3}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
YAML
widget() { printf 'apiVersion: test.dev/v1\nkind: Widget\nmetadata: {name: w}\nspec: {%s}\n' "$1" >"$work/w.yaml"; }
cat >"$work/pod.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: talker, labels: {app: talker}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: any
    command: [sh, -c, "echo hello from $HOSTNAME; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
YAML
cat >"$work/deploy.yaml" <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 2
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: one, command: [sleep, "1000"]}]
YAML

expect "version" "Server Version: .*orrery" k version
expect "api-resources lists built-in kinds" "^pods +po +v1 +true +Pod" k api-resources
expect "nodes" "node1 +Ready" k get nodes
expect "apply a definition" "widgets.test.dev created" k apply -f "$work/crd.yaml"
expect "api-resources lists the new kind" "^widgets +wg +test.dev/v1 +true +Widget" k api-resources
expect "wait for it" "condition met" k wait --for=condition=Established crd/widgets.test.dev --timeout=10s
expect "explain the new kind" "What one sees" k explain widget.spec
expect "explain a built-in kind" "terminationGracePeriodSeconds" k explain pod.spec

widget "color: blue"
expect "a wrong value is refused by name" "spec.color: Unsupported value: \"blue\"" k apply -f "$work/w.yaml"
widget "color: red, colour: x"
expect "an unknown field is refused by name" "unknown field \"(spec\.)?colour\"" k apply -f "$work/w.yaml"
widget "color: red"
"$kubectl" get widgets -w >"$work/watch" 2>&1 &
watch=$!
expect "apply creates" "w created" k apply -f "$work/w.yaml"
expect "apply again changes nothing" "w unchanged" k apply -f "$work/w.yaml"
expect "columns and defaults" "^w +red +3" k get wg
expect "scale" "scaled" k scale widget/w --replicas=5
expect "scale is seen" "^w +red +5" k get wg
expect "merge patch" "patched" k patch wg w --type merge -p '{"spec":{"color":"green"}}'
expect "json patch" "patched" k patch wg w --type json -p '[{"op":"replace","path":"/spec/replicas","value":6}]'
expect "a patch that breaks the schema is refused" "should be greater than or equal to 0" k patch wg w --type merge -p '{"spec":{"replicas":-1}}'
expect "server-side apply names a conflict" "conflict with .*\.spec\.color" k apply --server-side --field-manager=other -f "$work/w.yaml"
expect "server-side apply takes over by force" "serverside-applied" k apply --server-side --field-manager=other --force-conflicts -f "$work/w.yaml"
# Debian 12 has kubectl 1.20: --subresource came in 1.24, create token too.
if k patch --help | grep -q -- --subresource; then
  expect "status is a subresource" "patched" k patch wg w --subresource=status --type merge -p '{"status":{"replicas":6}}'
else
  echo "skipped: status is a subresource (this kubectl knows no --subresource)"
fi
expect "describe" "Color: +red" k describe widget w
expect "label and select" "^w " bash -c "$kubectl label wg w a=b >/dev/null && $kubectl get wg -l a=b --no-headers"
expect "delete" "deleted" k delete wg w
expect "it is gone" "NotFound" k get wg w
expect "get -w saw the changes" "^w +green" until_match "^w +green" cat "$work/watch"
kill "$watch" 2>/dev/null

expect "apply a pod" "talker created" k apply -f "$work/pod.yaml"
expect "the pod runs" "condition met" k wait --for=condition=Ready pod/talker --timeout=20s
expect "table of pods" "^talker +1/1 +Running +0 +[0-9]+s +127\." k get pods -o wide
expect "logs" "^hello from talker$" until_match hello "$kubectl" logs talker
expect "logs with options" "T[0-9:.]+Z hello from talker$" k logs talker --timestamps --tail=1
expect "describe shows events" "Started container main" k describe pod talker
expect "strategic merge patch of a label" "patched" k patch pod talker -p '{"metadata":{"labels":{"x":"y"}}}'
expect "a pod's spec is frozen" "pod updates may not change" k patch pod talker -p '{"spec":{"containers":[{"name":"main","command":["true"]}]}}'
expect "delete waits for the end" "deleted" k delete pod talker --timeout=20s

expect "a deployment" "created" k apply -f "$work/deploy.yaml"
expect "rolls out" "successfully rolled out" k rollout status deployment/d --timeout=30s
expect "scales" "scaled" k scale deployment/d --replicas=3
expect "updates" "image updated" k set image deployment/d main=two
expect "rolls again" "successfully rolled out" k rollout status deployment/d --timeout=30s
expect "get all" "deployment.apps/d +3/3" k get all
expect "delete it" "deleted" k delete deployment d
expect "its pods are collected" "No resources found" until_match "No resources" "$kubectl" get pods

mkdir "$work/kustom"
cat >"$work/kustom/kustomization.yaml" <<'YAML'
namespace: kspace
resources: [ns.yaml]
configMapGenerator: [{name: c, literals: [a=b]}]
secretGenerator: [{name: s, literals: [p=q]}]
YAML
printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: kspace}\n' >"$work/kustom/ns.yaml"
expect "apply -k" "configmap/c-.* created" k apply -k "$work/kustom"
expect "secrets are described" "p: +1 bytes" k -n kspace describe secrets
expect "auth can-i" "yes" k auth can-i create pods
if k create token --help >/dev/null 2>&1 && k create --help | grep -q "^  token"; then
  expect "a service account may do nothing" "no" k auth can-i create pods --as=unused --token="$("$kubectl" create token default)" --kubeconfig /dev/null --server "$("$kubectl" config view -o jsonpath='{.clusters[0].cluster.server}')" --insecure-skip-tls-verify
else
  echo "skipped: a service account may do nothing (this kubectl creates no token)"
fi
expect "delete a namespace with its content" "deleted" k delete namespace kspace --timeout=20s
expect "delete the definition" "deleted" k delete crd widgets.test.dev --timeout=20s
expect "its kind is gone" "doesn't have a resource type|NotFound" k get widgets

if [ "$failures" -gt 0 ]; then
  echo "FAILED: $failures checks"
  exit 1
fi
echo "PASSED"
