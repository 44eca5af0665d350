#!/usr/bin/env bash
# Trains on the sample, serves the model, asks for a few fares: without Docker, AWS or root.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/quickstart.sh

Makes a virtual environment in .venv (reused next time), trains the model on the sample in
local_test/test_dir, starts the server, sends local_test/payload.csv and prints the fares.

Environment:
  PYTHON   the Python to use, 3.11 or newer (default: the newest found on PATH)
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  "") ;;
  *) echo "quickstart.sh takes no argument, got '$1'; see --help" >&2; exit 64 ;;
esac

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
started=$SECONDS
step() { printf '\n==> %s\n' "$*"; }

step "1/3 Python environment"
# shellcheck source=local_test/environment.sh
source "$top/local_test/environment.sh"
ensure_environment requirements.txt
compile_program

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

step "2/3 Training on the sample"
cp -r "$top/local_test/test_dir/input" "$root/input"
export SAGEMAKER_BASE_DIR="$root"
"$venv/bin/python" "$top/container/train"

step "3/3 Serving the model, asking for fares"
"$venv/bin/python" "$top/local_test/serve_and_ask.py"

page="$top/local_test/test_dir/output/data/evaluation.html"
mkdir -p "$(dirname "$page")"
cp "$root/output/data/evaluation.html" "$page"
printf '\nDone in %s s. How good the model is, in pictures: %s\n' "$((SECONDS - started))" "$page"
