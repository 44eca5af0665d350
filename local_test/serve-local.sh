#!/usr/bin/env bash
# Serves the trained model from a container, as a SageMaker endpoint would.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/serve-local.sh IMAGE [--detach] [--port N] [--dir FOLDER]

Serves FOLDER/model, mounted read-only, on 127.0.0.1 and says when /ping answers 200. Ctrl-C stops
it: running requests are finished first.

Options:
  --detach      return as soon as it serves; local_test/stop.sh IMAGE stops it
  --port N      default: 8080; 0 takes a free one
  --dir FOLDER  default: local_test/test_dir
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=local_test/docker.sh
source "$here/docker.sh"

image="" port=8080 folder="$here/test_dir" detach=no
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --detach) detach=yes ;;
    --port) port=${2:?--port needs a number, see --help}; shift ;;
    --dir) folder=${2:?--dir needs a folder, see --help}; shift ;;
    -*) fail "unknown option '$1'; see --help" 64 ;;
    *) [ -z "$image" ] || fail "one image, not '$image' and '$1'; see --help" 64; image=$1 ;;
  esac
  shift
done
[[ $port =~ ^[0-9]+$ ]] || fail "port is '$port'; expected a number such as 8080" 64
need_image "$image"
command -v curl >/dev/null || fail "curl is not installed; it asks the server whether it is ready"
[ -n "$(find "$folder/model" -type f ! -name .gitkeep -print -quit 2>/dev/null)" ] \
  || fail "there is no model in $folder/model; train one: local_test/train-local.sh $image"
folder=$(cd "$folder" && pwd)

before=$(docker ps --all --quiet --filter "label=local_test.serve=$image")
[ -z "$before" ] || fail "$image is already being served; stop it first: local_test/stop.sh $image"

container=$(docker create --label "local_test.serve=$image" --publish "127.0.0.1:$port:8080" \
  --mount "type=bind,source=$folder/model,target=/opt/ml/model,readonly" "$image" serve)
trap 'docker rm --force "$container" >/dev/null' EXIT
docker start "$container" >/dev/null || fail "the container did not start (the reason stands above)"
port=$(docker port "$container" 8080/tcp | sed -n '1s/.*://p')
url=http://127.0.0.1:$port

# The handler itself stops the container: a signal in any line of this script then ends the wait.
interrupted=no
# shellcheck disable=SC2317,SC2329 # the trap calls it
interrupt() {
  interrupted=yes
  docker stop -t 30 "$container" >/dev/null
}
trap interrupt INT TERM
if [ "$detach" = no ]; then
  docker logs --follow "$container" &
  logs=$!
fi

running() {
  [ "$(docker inspect --format '{{.State.Running}}' "$container")" = true ]
}

give_up() {
  [ "$detach" = no ] || docker logs "$container" >&2
  fail "$1; the container's log stands above"
}

deadline=$((SECONDS + 120))
until [ "$interrupted" = yes ]; do
  answer=$(curl --silent --max-time 2 --write-out '\n%{http_code}' "$url/ping" || true)
  case "${answer##*$'\n'}" in
    200) break ;;
    503) give_up "/ping answers 503: ${answer%$'\n'*}" ;;
  esac
  running || give_up "the server ended with exit code $(docker wait "$container")"
  [ "$SECONDS" -lt "$deadline" ] || give_up "/ping did not answer 200 within 120 s"
  sleep 0.1
done

if [ "$interrupted" = no ]; then
  remote=""
  [ "$port" = 8080 ] || remote="PORT=$port "
  echo "serving $image at $url"
  echo "Ask it: ${remote}local_test/predict.sh"
  if [ "$detach" = yes ]; then
    trap - EXIT
    echo "Stop it: local_test/stop.sh $image"
    exit
  fi
  wait "$logs" || true # until the server ends or a signal comes
fi
[ "$detach" = yes ] || wait "$logs" || true
exit "$(docker wait "$container")"
