#!/usr/bin/env bash
# Measures this project side by side with an empty route and with what people would pick instead.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: benchmarks/run.sh [--short] [--only NAME,...] [--against REVISION] [--rounds N] [--list]

Without options: serving, batch, cold start and memory in three interleaved rounds, then training,
then its growth from 0.5 to 10 million rows in one round;
writes benchmarks/results/*.json, the table and chart of docs/performance.md and README's figures.
Takes hours, downloads some 2 GB once, and wants an otherwise idle machine with nginx and wrk.

Options:
  --short           one brief round of this project, the empty route and the classic stack, printed only
  --only NAME,...   these subjects, printed only
  --against REVISION  this project as git has it at REVISION too, printed only
  --rounds N        rounds (default: 3, with --short 1)
  --list            print the subjects' names and end

Environment:
  BENCHMARK_PYTHON  a Python that holds requirements.txt (default: .venv, made when missing)
  BENCHMARK_CACHE   where the others' environments are kept (default: ~/.cache/sagemaker-benchmarks)
TEXT
}

publish=yes
for argument in "$@"; do
  case "$argument" in
    -h | --help) usage; exit 0 ;;
    --short | --only | --only=* | --against | --against=* | --list) publish=no ;;
    --rounds | --rounds=*) ;;
    -*) echo "run.sh: unknown option '$argument'; see --help" >&2; exit 64 ;;
  esac
done

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${BENCHMARK_PYTHON:-}
if [ -z "$python" ]; then
  # shellcheck source=local_test/environment.sh
  source "$top/local_test/environment.sh"
  ensure_environment requirements.txt
  compile_program
  python="$venv/bin/python"
fi

"$python" "$top/benchmarks/serving.py" "$@"
if [ "$publish" = yes ]; then
  "$python" "$top/benchmarks/training.py" "$@"
  "$python" "$top/benchmarks/training.py" --growth --rounds 1
  "$python" "$top/benchmarks/report.py"
fi
