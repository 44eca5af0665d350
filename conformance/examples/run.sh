#!/usr/bin/env bash
# Judges images made from well-known ways to serve: what the kit says of them is in docs/conformance.md.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: conformance/examples/run.sh [EXAMPLE...]

Builds each EXAMPLE (default: fastapi bentoml toolkit flask_pickle) as conformance-EXAMPLE, judges it
with a linear model and small data, and leaves the table and the JSON in conformance/examples/results.
It needs Docker, PyPI and Debian's packages, and takes some minutes for each.
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) echo "run.sh: unknown option '$1'; see --help" >&2; exit 64 ;;
esac

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=$(mktemp -d)
trap 'rm -r "$data"' EXIT
mkdir -p "$data/training" "$here/results"
for part in 1 2; do
  for row in $(seq 500); do
    echo "$row.25,$((row * part % 17)),$((3 * row - row * part % 17))"
  done >"$data/training/part-$part.csv"
done
printf '1.5,2.5\n3.25,0.75\n9.1,4.4\n' >"$data/request.csv"

[ $# -gt 0 ] || set -- fastapi bentoml toolkit flask_pickle
for example in "$@"; do
  system=""
  case "$example" in
    fastapi) packages="fastapi uvicorn" ;;
    bentoml) packages="bentoml" ;;
    # multi-model-server uses pkg_resources, which later versions of setuptools lack.
    toolkit) packages="multi-model-server sagemaker-inference setuptools<81" system="openjdk-21-jre-headless" ;;
    flask_pickle) packages="flask" ;;
    *) echo "run.sh: there is no example '$example'; see --help" >&2; exit 64 ;;
  esac
  docker build --quiet --force-rm --tag "conformance-$example" --build-arg "EXAMPLE=$example" \
    --build-arg "PACKAGES=$packages" --build-arg "SYSTEM=$system" "$here"
  "$here/../../local_test/check.sh" "conformance-$example" --training "$data/training" \
    --sample "$data/request.csv" --json "$here/results/$example.json" \
    >"$here/results/$example.txt" || true
  tail -n 1 "$here/results/$example.txt"
done
