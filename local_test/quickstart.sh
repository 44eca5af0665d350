#!/usr/bin/env bash
# Trains on the data that are here, serves the model, asks it: without Docker, AWS or root.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/quickstart.sh

Makes a virtual environment in .venv (reused next time), trains the model on the data in
local_test/test_dir, starts the server, sends it local_test/payload.csv, or what stands there in
another format, and prints the answer. local_test/try.sh does the same with more choices.

Environment:
  PYTHON   the Python to use, 3.11 or newer (default: the newest found on PATH)
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  "") ;;
  *) echo "quickstart.sh takes no argument, got '$1'; see --help" >&2; exit 64 ;;
esac

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
started=$SECONDS
request=""
for payload in "$here"/payload.*; do
  if [ -f "$payload" ]; then
    request=$payload
    break
  fi
done
"$here/try.sh" ${request:+"$request"}

# The sample's answer as a table of fares; it went away if the sample did.
if [ -f "$here/fares.py" ]; then
  "$here/../.venv/bin/python" "$here/fares.py"
fi
printf '\nDone in %s s.\n' "$((SECONDS - started))"
