# shellcheck shell=bash
# Sourced by the scripts that need Python packages: a virtual environment, made once.

venv="$top/.venv"

# Print a Python that is new enough, or say what to do.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "No Python 3.11 or newer found (looked for: ${PYTHON:-python3.11 to python3.14, python3})." >&2
  echo "Install one, or name it: PYTHON=/path/to/python3.13 $0" >&2
  return 1
}

# ensure_environment LOCKFILE...: install the locked packages unless the environment holds them.
ensure_environment() {
  local lock python missing="" args=()
  for lock in "$@"; do
    args+=(-r "$top/$lock")
    grep -qxF "$(cd "$top" && cksum "$lock")" "$venv/installed" 2>/dev/null || missing=$lock
  done
  if [ -z "$missing" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    echo "using $venv"
    return
  fi
  python=$(find_python)
  echo "making $venv with $("$python" --version); the download is 200 to 600 MB, once"
  # An environment whose Python has gone is made anew, any other is kept.
  if ! "$venv/bin/python" -c '' 2>/dev/null && ! "$python" -m venv --clear "$venv"; then
    echo "No virtual environment could be made; on Debian and Ubuntu: apt-get install python3-venv" >&2
    return 1
  fi
  if [ -x "$top/.venv/bin/uv" ]; then # one of the development tools, several times as fast
    "$top/.venv/bin/uv" pip install --python "$venv/bin/python" --require-hashes "${args[@]}"
  else
    "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes "${args[@]}" \
      | { grep --line-buffered -E '^(Collecting|Installing|Successfully)' || true; } | cut -c1-100
  fi
  for lock in "$@"; do (cd "$top" && cksum "$lock") >>"$venv/installed"; done
}

# Compile the parts of the program that are written in C, where there is a compiler that works.
compile_program() {
  if command -v cc >/dev/null && ! "$top/container/compile.sh" >/dev/null; then
    echo "The compiler above does not work; going on without, which is slower." >&2
  fi
}
