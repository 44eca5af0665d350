#!/usr/bin/env bash
# Puts the start of your own algorithm in the place of the present one.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: ./new.sh NAME [--from data.csv --target COLUMN] [--task KIND] [--keep-sample] [--yes]

Makes container/NAME/, a working algorithm to start from, with its test, an example request and
data to try it with, and removes the present one with its tests, requests and data.

With --from, it predicts COLUMN of a CSV file with a header from the other columns: they are
declared by their names and values, and a model of scikit-learn is trained on them. Without, it
takes JSON and answers JSON.

Options:
  --from FILE      the table, such as data.csv or data.csv.gz; it is copied into local_test/
  --target COLUMN  the column to predict
  --task KIND      regression or classification (default: by the target's values)
  --keep-sample    leave the present algorithm where it is; the new one's data go to local_test/NAME
  --yes            remove it without asking

Environment:
  PYTHON   the Python to use, 3.11 or newer (default: the newest found on PATH)
TEXT
}

for argument in "$@"; do
  case "$argument" in -h | --help) usage; exit 0 ;; esac
done

top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for argument in "$@"; do
  case "$argument" in
    --from | --target | --task | --keep-sample | --yes | --from=* | --target=* | --task=*) ;;
    -*) echo "new.sh: unknown option '$argument'; see --help" >&2; exit 64 ;;
  esac
done
# shellcheck source=local_test/environment.sh
source "$top/local_test/environment.sh"
ensure_environment requirements.txt
"$venv/bin/python" "$top/local_test/new_algorithm.py" "$@"
