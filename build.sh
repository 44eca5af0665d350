#!/usr/bin/env bash
# Builds the image and says how big it is.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: ./build.sh IMAGE [--algorithm FOLDER] [--multi-model]

Builds IMAGE, such as taxi-fare or my-model:1.2, from the Dockerfile beside this script.

Options:
  --algorithm FOLDER  the algorithm to put into it, as seen from the top of the project, such as
                      examples/mock/mock_model (default: the one in container/); the packages
                      beside it come along
  --multi-model       say in the image's labels that it serves multi-model endpoints: SageMaker
                      then takes it for those (docs/multi-model.md)

Environment:
  ALGORITHM   the package in container/ to take, where there are several
  BASE_IMAGE  the base, such as debian:trixie-slim or a mirror's name with a digest
              (default: the one in the Dockerfile)
  PLATFORM    the platform of the image (default: linux/amd64, which SageMaker trains on)
TEXT
}

fail() {
  echo "build.sh: $1" >&2
  exit "${2:-1}"
}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image="" algorithm="" labels=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --algorithm) algorithm=${2:?--algorithm needs a folder, see --help}; shift ;;
    --multi-model) labels=(--label com.amazonaws.sagemaker.capabilities.multi-models=true) ;;
    -*) fail "unknown option '$1'; see --help" 64 ;;
    *) [ -z "$image" ] || fail "one image, not '$image' and '$1'; see --help" 64; image=$1 ;;
  esac
  shift
done
[ -n "$image" ] || fail "which image? For example: ./build.sh taxi-fare" 64

if [ -z "$algorithm" ]; then
  algorithm=${ALGORITHM:-}
  for init in "$top"/container/*/__init__.py; do
    package=$(basename "$(dirname "$init")")
    [ "$package" != sagemaker_runtime ] && [ -z "${ALGORITHM:-}" ] || continue
    [ -z "$algorithm" ] || fail "container/ holds several packages, such as $algorithm and $package;
say which is the algorithm: ALGORITHM=$package ./build.sh $image"
    algorithm=$package
  done
  [ -n "$algorithm" ] || fail "container/ holds no algorithm; make one: ./new.sh my_model"
  algorithm=container/$algorithm
fi
algorithm=${algorithm%/}
name=$(basename "$algorithm") folder=$(dirname "$algorithm")
case "$algorithm" in
  container/* | examples/*) ;;
  *) fail "'$algorithm' is not sent to the builder; put the folder below container/ or examples/" ;;
esac
[ -f "$top/$algorithm/__init__.py" ] || fail "'$algorithm' is not an algorithm: expected a folder
with an __init__.py, as seen from $top, such as examples/mock/mock_model"
[ ! -f "$top/container/$name.py" ] && [ ! -f "$top/container/$name" ] || fail "the package $name/
has the name of one of the program's files; rename the folder, such as my_$name/"

command -v docker >/dev/null || fail "docker is not installed: https://docs.docker.com/get-docker/"
docker info >/dev/null 2>&1 || fail "no Docker engine answers; start Docker Desktop, or on Linux:
sudo systemctl start docker. What 'docker info' says: $(docker info 2>&1 | tail -n 1)"

revision="" version="" source=""
if git -C "$top" rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
  revision=$(git -C "$top" describe --always --dirty --abbrev=40 --exclude '*')
  version=$(git -C "$top" describe --always --dirty --tags)
  # A remote's address may hold a password: https://user:secret@host/...
  source=$(git -C "$top" remote get-url origin 2>/dev/null | sed -n 's|^\(https://\)\(.*@\)\{0,1\}|\1|p' || true)
fi

arguments=(
  --build-arg "ALGORITHM=$name" --build-arg "FOLDER=$folder"
  --build-arg "SOURCE=$source" --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
  # An empty array counts as unset for bash 3.2, macOS's.
  ${labels[@]+"${labels[@]}"}
)
[ -z "${BASE_IMAGE:-}" ] || arguments+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
platform=${PLATFORM:-linux/amd64}
# SageMaker Studio allows one network only, and only the classic builder knows it.
# https://docs.aws.amazon.com/sagemaker/latest/dg/studio-updated-local.html
if [ -n "${SAGEMAKER_APP_TYPE:-}" ] \
  || grep -qs '"AppType"' /opt/ml/metadata/resource-metadata.json; then
  export DOCKER_BUILDKIT=0
  arguments+=(--network sagemaker)
fi
help=$(docker build --help 2>&1)
case "$help" in
  *--platform*) arguments+=(--platform "$platform") ;;
  *) [ -z "${PLATFORM:-}" ] \
    || fail "this docker cannot build for another platform ($PLATFORM): it has no --platform" ;;
esac
# The classic builder leaves the container of a failed step behind unless told otherwise.
case "$help" in *--force-rm*) arguments+=(--force-rm) ;; esac
# SageMaker takes one image in Docker's own format: no attestations, which newer builders add, and
# no OCI media types, which BuildKit makes since 0.31. Older builders know neither.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1
case "$help" in *--provenance*) arguments+=(--output "type=docker,oci-mediatypes=false") ;; esac
docker build --tag "$image" "${arguments[@]}" "$top"

bytes=$(docker image inspect --format '{{.Size}}' "$image")
echo "built $image with $algorithm: $((bytes / 1000000)) MB uncompressed, base included"
