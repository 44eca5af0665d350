#!/usr/bin/env bash
# Starts the server in the background.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/start.sh IMAGE [--port N] [--dir FOLDER]

The same as local_test/serve-local.sh IMAGE --detach; local_test/stop.sh IMAGE ends it.
TEXT
}

for argument in "$@"; do
  case "$argument" in -h | --help) usage; exit 0 ;; esac
done
exec "$(dirname "${BASH_SOURCE[0]}")/serve-local.sh" "$@" --detach
