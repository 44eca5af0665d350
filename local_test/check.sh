#!/usr/bin/env bash
# Judges from outside whether an image, this project's or any other, does what SageMaker expects.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/check.sh IMAGE [--sample FILE] [--content-type TYPE] [--training DIR]
                [--model DIR] [--env NAME=VALUE]... [--only NAME]... [--json FILE]

Starts IMAGE as SageMaker does, to train and to serve, and says for each thing that SageMaker expects
whether it holds: PASS, FAIL, NOT OFFERED (an optional capability that the image neither claims nor
has) or NOT TRIED (what the check needs was not given). Anything with train or serve can be judged;
nothing of this project needs to be inside. It needs Docker and Python 3.11, no packages.

Options:
  --sample FILE        a request that the image answers, best one with several rows
  --content-type TYPE  what the sample is (default: by the file's name, such as text/csv for .csv)
  --training DIR       data to train on: a folder of files for the channel "training", or a tree as
                       below /opt/ml, such as local_test/test_dir, with hyperparameters
  --model DIR          a model to serve, instead of the one that is trained
  --env NAME=VALUE     the job's or the model's Environment
  --only NAME          this check, or the checks of this area, only
  --json FILE          write all results as JSON
  --list               print the checks and end

Exit codes: 0 all pass or are not offered, 1 something fails, 2 no Docker or no such image,
3 nothing fails but something could not be tried, 64 wrong usage.

Environment:
  PYTHON   the Python to use, 3.11 or newer (default: the newest found on PATH)
TEXT
}

for argument in "$@"; do
  case "$argument" in -h | --help) usage; exit 0 ;; esac
done

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=local_test/environment.sh
source "$top/local_test/environment.sh"
python=$(find_python)
PYTHONPATH=$top exec "$python" -m conformance "$@"
