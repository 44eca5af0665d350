# shellcheck shell=bash
# Sourced by the scripts that run containers.

fail() {
  echo "$(basename "$0"): $1" >&2
  exit "${2:-1}"
}

# need_image IMAGE: end with a remedy unless Docker answers and knows the image.
need_image() {
  [ -n "$1" ] || fail "which image? For example: $(basename "$0") taxi-fare" 64
  command -v docker >/dev/null \
    || fail "docker is not installed; without it there is local_test/quickstart.sh"
  docker info >/dev/null 2>&1 || fail "no Docker engine answers; start Docker Desktop, or on Linux: \
sudo systemctl start docker. What 'docker info' says: $(docker info 2>&1 | tail -n 1)"
  docker image inspect "$1" >/dev/null 2>&1 || fail "there is no image '$1'; build it: ./build.sh $1"
}

# hand_back IMAGE FOLDER: give the files that root wrote in the container to the caller. Where
# nothing belongs to somebody else (Docker Desktop, rootless Docker) there is nothing to do.
hand_back() {
  local model="$2/model" output="$2/output"
  if [ -n "$(find "$model" "$output" ! -user "$(id -u)" -print -quit 2>/dev/null)" ]; then
    docker run --rm --network none --user 0 --mount "type=bind,source=$2,target=/opt/ml" \
      --entrypoint chown "$1" -R "$(id -u):$(id -g)" /opt/ml/model /opt/ml/output
  fi
}
