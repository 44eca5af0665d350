#!/usr/bin/env bash
# Trains, serves and asks once: the whole way of any algorithm on this machine.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/try.sh [REQUEST-FILE] [--docker IMAGE] [--dir FOLDER]

Trains the algorithm on FOLDER/input/data, serves the model, sends it REQUEST-FILE or else the
algorithm's own example, and prints the answer, its status and the times. The model is left in
FOLDER/model, other results in FOLDER/output; both are emptied first.

Without Docker it needs Python 3.11 or newer and makes a virtual environment in .venv once.

Options:
  --docker IMAGE  do it in containers of IMAGE instead
  --dir FOLDER    default: local_test/test_dir

Environment:
  ALGORITHM  the package in container/ to take, where there are several
  PYTHON     the Python to use, 3.11 or newer (default: the newest found on PATH)
TEXT
}

fail() {
  echo "try.sh: $1" >&2
  exit "${2:-1}"
}
step() { printf '\n==> %s\n' "$*"; }

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
request="" image="" folder="$top/local_test/test_dir"
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --docker) image=${2:?--docker needs an image, see --help}; shift ;;
    --dir) folder=${2:?--dir needs a folder, see --help}; shift ;;
    -*) fail "unknown option '$1'; see --help" 64 ;;
    *) [ -z "$request" ] || fail "one file, not '$request' and '$1'; see --help" 64; request=$1 ;;
  esac
  shift
done
[ -z "$request" ] || [ -f "$request" ] || fail "there is no file '$request'"
[ -d "$folder/input" ] || fail "$folder has no input/; expected input/config and input/data as in
local_test/test_dir"
folder=$(cd "$folder" && pwd)

if [ -n "$image" ]; then
  step "1/2 Training in $image"
  started=$SECONDS
  "$top/local_test/train-local.sh" "$image" --dir "$folder"
  trained=$((SECONDS - started))

  step "2/2 Serving the model, asking it"
  started=$SECONDS
  said=$("$top/local_test/start.sh" "$image" --port 0 --dir "$folder")
  ready=$((SECONDS - started))
  trap '"$top/local_test/stop.sh" "$image" >/dev/null' EXIT
  PORT=$(sed -n '1s/.*://p' <<<"$said")
  export PORT
  "$top/local_test/predict.sh" ${request:+"$request"}
  printf '\ntrained in %s s, ready %s s after the start\n' "$trained" "$ready"
  exit
fi

step "1/3 Python environment"
# shellcheck source=local_test/environment.sh
source "$top/local_test/environment.sh"
ensure_environment requirements.txt
compile_program

step "2/3 Training"
mkdir -p "$folder/model" "$folder/output"
find "$folder/model" "$folder/output" -mindepth 1 ! -name .gitkeep -delete
export SAGEMAKER_BASE_DIR="$folder"
started=$SECONDS
"$venv/bin/python" "$top/container/train" || fail "training failed (the reason stands above)" $?
echo "trained in $((SECONDS - started)) s"

step "3/3 Serving the model, asking it"
"$venv/bin/python" "$top/local_test/serve_and_ask.py" ${request:+"$request"}
