#!/usr/bin/env bash
# Executes the notebooks in local mode and writes what they show as HTML pages.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: notebooks/render.sh [NOTEBOOK...]

Builds the images, executes the notebooks (default: all) from top to bottom in Docker on this
machine, and writes the pages, plots included, to notebooks/rendered/. Some notebooks run on the local
cloud, which is left running: local_test/cloud.sh stop ends it.

Environment:
  PORT     a port that is free on this machine (default: 8080)
  PYTHON   see notebooks/setup.sh --help
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) echo "render.sh: unknown option '$1'; see --help" >&2; exit 64 ;;
esac

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$here")
[ $# -gt 0 ] || set -- "$here"/*.ipynb
mkdir -p "$here/rendered"

for notebook in "$@"; do
  name=$(basename "$notebook" .ipynb)
  sdk=v2
  case "$name" in *_sdk_v3) sdk=v3 ;; esac
  "$here/setup.sh" "$sdk"
  case "$name" in
    watch_a_model)
      image=""
      "$top/local_test/quickstart.sh"
      ;;
    *pretrained*)
      image=pretrained
      "$top/build.sh" "$image" --algorithm examples/pretrained/pretrained_model
      ;;
    *)
      image=taxi-fare
      "$top/build.sh" "$image"
      ;;
  esac
  settings=(${image:+--set image="$image"})
  case "$name" in
    tune_and_register) ;;
    batch_async_serverless) "$top/local_test/train-local.sh" "$image" ;;
    variants_and_updates)
      "$top/local_test/train-local.sh" "$image"
      "$top/local_test/cloud.sh" start >/dev/null
      "$top/local_test/cloud.sh" push "$image"
      ;;
    *) settings+=(--set port="${PORT:-8080}") ;;
  esac
  python="$here/.venv-$sdk/bin/python"
  "$python" "$here/execute.py" "$here/$name.ipynb" "$here/rendered/$name.ipynb" \
    "${settings[@]}"
  "$python" -m jupyter nbconvert --to html "$here/rendered/$name.ipynb"
done
printf '\nRendered: %s\n' "$here/rendered"
