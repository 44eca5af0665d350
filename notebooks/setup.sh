#!/usr/bin/env bash
# Makes the Python environment that a notebook needs.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: notebooks/setup.sh v2|v3

Makes notebooks/.venv-v2, for the notebooks on version 2 of the SageMaker SDK, or
notebooks/.venv-v3, for the one on version 3, from the locked requirements, and says how to open
JupyterLab in it. Done again it takes no time.

Environment:
  PYTHON   the Python to use, 3.11 or newer (default: the newest found on PATH)
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  v2) lock=requirements-notebooks.txt ;;
  v3) lock=requirements-notebooks-v3.txt ;;
  *) echo "setup.sh: expected v2 or v3 (the SDK's version), got '${1:-}'; see --help" >&2; exit 64 ;;
esac
[ $# -eq 1 ] || { echo "setup.sh: expected one argument, got $#; see --help" >&2; exit 64; }

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=local_test/environment.sh
source "$top/local_test/environment.sh"
venv="$top/notebooks/.venv-$1"
ensure_environment "$lock"
echo "Open the notebooks: $venv/bin/jupyter lab $top/notebooks"
