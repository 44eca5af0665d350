#!/usr/bin/env bash
# Makes room on a hosted runner, if there is too little.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: .github/release/free-disk.sh [GIGABYTES]

Where less than GIGABYTES (default: 20) are free, removes what GitHub's hosted runners bring along
and nothing here needs: .NET, Android's and Haskell's tools, 20 GB together. Elsewhere, and where
there is room, it removes nothing.
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) echo "free-disk.sh: unknown option '$1'; see --help" >&2; exit 64 ;;
esac
wanted=${1:-20}
root=${RUNNER_ROOT:-}  # tests put a folder here

free() { df --output=avail --block-size=1G "$root/" | tail -n 1 | tr -d ' '; }

echo "$(free) GB are free, $wanted are wanted"
if [ "$(free)" -lt "$wanted" ] && [ "${GITHUB_ACTIONS:-}" = true ]; then
  for folder in /usr/share/dotnet /usr/local/lib/android /opt/ghc; do
    [ -d "$root$folder" ] || continue
    echo "removing $folder"
    sudo rm -rf "$root$folder"
  done
  echo "$(free) GB are free"
fi
