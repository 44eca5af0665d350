#!/usr/bin/env bash
# Trains in a container, as SageMaker would with File input.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/train-local.sh IMAGE [--dir FOLDER]

Runs IMAGE with FOLDER as /opt/ml: hyperparameters and data come from FOLDER/input; the model is
written to FOLDER/model, other results to FOLDER/output. Both are emptied first.

Options:
  --dir FOLDER  default: local_test/test_dir
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=local_test/docker.sh
source "$here/docker.sh"

image="" folder="$here/test_dir"
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --dir) folder=${2:?--dir needs a folder, see --help}; shift ;;
    -*) fail "unknown option '$1'; see --help" 64 ;;
    *) [ -z "$image" ] || fail "one image, not '$image' and '$1'; see --help" 64; image=$1 ;;
  esac
  shift
done
need_image "$image"
[ -d "$folder/input" ] || fail "$folder has no input/; expected input/config and input/data as in \
local_test/test_dir"
folder=$(cd "$folder" && pwd)

mkdir -p "$folder/model" "$folder/output"
trap 'hand_back "$image" "$folder"' EXIT
hand_back "$image" "$folder" # what a run left that was killed
find "$folder/model" "$folder/output" -mindepth 1 ! -name .gitkeep -delete

status=0
docker run --rm --mount "type=bind,source=$folder,target=/opt/ml" "$image" train || status=$?

if [ "$status" -ne 0 ]; then
  echo "train-local.sh: training ended with exit code $status" >&2
  if [ -s "$folder/output/failure" ]; then
    printf 'FailureReason: %s\n' "$(cat "$folder/output/failure")" >&2
  fi
  exit "$status"
fi
echo
echo "The model:     $folder/model"
echo "Other results: $folder/output/data"
echo "Next:          local_test/serve-local.sh $image"
