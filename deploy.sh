#!/usr/bin/env bash
# Trains, deploys and operates on Amazon SageMaker: ./deploy.sh --help
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=local_test/environment.sh
source "$top/local_test/environment.sh"
venv="$top/deploy/.venv"
ensure_environment requirements-deploy.txt | { grep -v '^using ' || true; } >&2
# -P: what lies in the folder where the command is given is not imported.
PYTHONPATH="$top" exec "$venv/bin/python" -P -m deploy "$@"
