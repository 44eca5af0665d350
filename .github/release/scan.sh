#!/usr/bin/env bash
# Looks for known vulnerabilities in the Python packages of an image, before it is pushed.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: .github/release/scan.sh IMAGE

Asks PyPI's advisory database about each Python package that IMAGE holds and ends with 1 when one of
them has a known vulnerability. What was looked at and accepted stands in accepted.txt beside this
script. Packages of Debian are looked at by Amazon ECR after the push: see findings.sh.
TEXT
}

fail() {
  echo "scan.sh: $1" >&2
  exit "${2:-1}"
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) echo "scan.sh: unknown option '$1'; see --help" >&2; exit 64 ;;
esac
[ $# -eq 1 ] || fail "which image? For example: .github/release/scan.sh taxi-fare" 64

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=local_test/environment.sh
source "$top/local_test/environment.sh"
venv="$here/.venv"
ensure_environment requirements-scan.txt >&2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The image has no pip; what is installed says so itself.
docker run --rm --network none --entrypoint python3 "$1" -c '
from importlib.metadata import distributions
for each in sorted({(d.metadata["Name"], d.version) for d in distributions()}):
    print("==".join(each))
' >"$scratch/packages.txt"
[ -s "$scratch/packages.txt" ] || fail "$1 holds no Python packages; is it an image of this project?"

options=()
while read -r id _; do
  case "$id" in '' | '#'*) ;; *) options+=(--ignore-vuln "$id") ;; esac
done <"$here/accepted.txt"
# ${array[@]+...}: an empty array counts as unset for bash 3.2, macOS's.
"$venv/bin/python" -m pip_audit --disable-pip --no-deps --progress-spinner off \
  --requirement "$scratch/packages.txt" ${options[@]+"${options[@]}"}
