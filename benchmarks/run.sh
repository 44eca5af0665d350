#!/usr/bin/env bash
# Measures this project side by side with an empty route and with what people would pick instead.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: benchmarks/run.sh [--seconds N] [--rounds N] [--models NAME,...] [--only NAME,...]
                         [--short] [--against REVISION] [--list] [--training]

Without options: serving, some 15 minutes, of the models that people bring, of the sample and of its
container; writes benchmarks/results/serving.json, the tables and the picture of docs/performance.md
and README's figures. Wants an otherwise idle machine with nginx and wrk, Docker for the container,
and downloads some 2 GB once, for what it compares with. What cannot be installed or does not start
is named in the results, and the rest is measured.

Options:
  --seconds N         of each measurement (default: 2)
  --rounds N          rounds (default: 3, with --short 1)
  --models NAME,...   these models, printed only
  --only NAME,...     these subjects, printed only
  --short             one brief round of two models in this project, the empty route and Flask,
                      printed only
  --against REVISION  the sample as git has it at REVISION too, printed only
  --list              print the names of subjects and models and end
  --training          training instead, and its growth from 0.5 to 10 million rows: takes hours

Environment:
  BENCHMARK_PYTHON  a Python that holds requirements.txt and requirements-dev.txt (default: .venv,
                    made when missing)
  BENCHMARK_CACHE   where the others' environments are kept (default: ~/.cache/sagemaker-benchmarks)
TEXT
}

what=serving arguments=()
for argument in "$@"; do
  case "$argument" in
    -h | --help) usage; exit 0 ;;
    --training) what=training ;;
    --short | --list | --only | --only=* | --models | --models=* | --against | --against=* \
      | --rounds | --rounds=* | --seconds | --seconds=*) arguments+=("$argument") ;;
    -*) echo "run.sh: unknown option '$argument'; see --help" >&2; exit 64 ;;
    *) arguments+=("$argument") ;;
  esac
done

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${BENCHMARK_PYTHON:-}
if [ -z "$python" ]; then
  # shellcheck source=local_test/environment.sh
  source "$top/local_test/environment.sh"
  ensure_environment requirements.txt requirements-dev.txt
  compile_program
  python="$venv/bin/python"
fi

if [ "$what" = serving ]; then
  exec "$python" "$top/benchmarks/serving.py" "${arguments[@]}"
fi
"$python" "$top/benchmarks/training.py" "${arguments[@]}"
"$python" "$top/benchmarks/training.py" --growth --rounds 1
"$python" "$top/benchmarks/report.py"
