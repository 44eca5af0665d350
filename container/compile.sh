#!/usr/bin/env bash
# Compiles the C sources of the packages beside this script.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: container/compile.sh

Makes a library libNAME.so of each NAME.c in a folder beside this script, next to its source. Needs
a C compiler. Where a library is missing, Python does the same work, only slower.

Environment:
  CC  the compiler (default: cc)
TEXT
}

case "${1:-}" in
  "") ;;
  -h | --help) usage; exit 0 ;;
  *) echo "compile.sh: unknown argument '$1'; see --help" >&2; exit 64 ;;
esac

compiler=${CC:-cc}
if ! command -v "$compiler" >/dev/null; then
  echo "compile.sh: no C compiler named '$compiler'; on Debian and Ubuntu:" \
    "apt-get install gcc libc6-dev" >&2
  exit 69
fi

# -ffp-contract=off: a fused multiply-add rounds once where Python rounds twice.
# No -march=native: the image may run on another processor than the one that built it.
flags=(-std=c11 -O3 -ffp-contract=off -fPIC -shared -pthread -Wall -Wextra)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
new=""
trap 'rm -f "$new"' EXIT
while read -r source; do
  # Not NAME.so: Python would import that in place of NAME.py.
  library=$(dirname "$source")/lib$(basename "$source" .c).so
  new=$(mktemp "$library.XXXXXX")
  "$compiler" "${flags[@]}" -o "$new" "$source"
  chmod 755 "$new"
  # At once, so that a running program keeps the library it has loaded.
  mv "$new" "$library"
  echo "$library"
done < <(find "$here" -name '*.c' | sort)
