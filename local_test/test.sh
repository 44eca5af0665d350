#!/usr/bin/env bash
# Runs all tests: the container suite too where a Docker engine answers.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/test.sh [--docker=auto|require|off] [PYTEST-ARGUMENT...]

Makes or reuses the virtual environment .venv and runs pytest in it. For example:
  local_test/test.sh tests/serving/test_api.py -k csv

Options:
  --docker=auto     run the container suite where a Docker engine answers, else leave it out and
                    say so (default)
  --docker=require  fail where no Docker engine answers
  --docker=off      leave the container suite out

Environment:
  PYTHON   the Python to use, 3.11 or newer (default: the newest found on PATH)
TEXT
}

for argument in "$@"; do
  case "$argument" in -h | --help) usage; exit 0 ;; esac
done

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=local_test/environment.sh
source "$top/local_test/environment.sh"
ensure_environment requirements.txt requirements-dev.txt
compile_program

# Debian's docker-compose breaks under it, and tests must not see a caller's modules.
unset PYTHONPATH
cd "$top"
exec "$venv/bin/python" -m pytest "$@"
