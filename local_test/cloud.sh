#!/usr/bin/env bash
# Starts and stops the local cloud: SageMaker on this machine, for the AWS command line and SDKs.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/cloud.sh start [--port N] [--clock N] [--region NAME] [--dir FOLDER]
       local_test/cloud.sh push IMAGE [REPOSITORY[:TAG]] [--dir FOLDER]
       local_test/cloud.sh interrupt JOB | status | stop [--dir FOLDER]

start   starts SageMaker's API on 127.0.0.1 and prints the exports that lead boto3, the AWS command
        line and SageMaker's SDKs to it; take them over: eval "$(local_test/cloud.sh start)"
push    puts an image of this machine's Docker engine into the cloud's registry and prints its
        address by digest, as build_and_push.sh does with AWS's
interrupt  takes the instances of a spot training job away, and gives it others, as AWS does
status  prints the exports and what there is; the exit code is 3 if no cloud runs
stop    removes every container that the cloud started, and forgets everything

It runs training jobs, batch jobs and endpoints as containers. It does not judge permissions, has no
VPC and does not encrypt, and does not claim that AWS answers the same: see docs/local-cloud.md.

Options:
  --port N       where it answers (default: 4600)
  --clock N      divide AWS's waits by N (default: 60, an hour becomes a minute)
  --region NAME  default: eu-west-1
  --dir FOLDER   journal, log and working files (default: local_cloud/.run)

Environment:
  PYTHON   the Python to use, 3.11 or newer (default: the newest found on PATH)
TEXT
}

fail() {
  echo "cloud.sh: $1" >&2
  exit "${2:-1}"
}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command="" port=4600 clock=60 region=eu-west-1 folder="$top/local_cloud/.run" words=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --port) port=${2:?--port needs a number, see --help}; shift ;;
    --clock) clock=${2:?--clock needs a number, see --help}; shift ;;
    --region) region=${2:?--region needs a name, see --help}; shift ;;
    --dir) folder=${2:?--dir needs a folder, see --help}; shift ;;
    -*) fail "unknown option '$1'; see --help" 64 ;;
    *) if [ -z "$command" ]; then command=$1; else words+=("$1"); fi ;;
  esac
  shift
done
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# A proxy of the network is not asked for what is on this machine.
direct="${no_proxy:-${NO_PROXY:-}}"
case ",$direct," in *,127.0.0.1,* | ',*,') ;; *) direct="127.0.0.1${direct:+,$direct}" ;; esac

running() {
  [ -s "$folder/pid" ] || return 1
  kill -0 "$(cat "$folder/pid")" 2>/dev/null || return 1
  # After a restart of the machine the number may be that of another program.
  ! command -v ps >/dev/null || ps -p "$(cat "$folder/pid")" -o args= | grep -q cloud
}

# Remove the containers and networks of a cloud that was killed.
sweep() {
  local label found
  [ -s "$folder/state/identity" ] || return 0
  label="label=local_cloud=$(cat "$folder/state/identity")"
  docker ps --all --quiet --filter "$label" | while read -r found; do
    docker rm --force --volumes "$found" >/dev/null
  done
  docker network ls --quiet --filter "$label" | while read -r found; do
    docker network rm "$found" >/dev/null
  done
}

python() { "$top/local_cloud/.venv/bin/python" "$@"; }

# ask METHOD ROUTE [JSON]: print what the cloud answers about itself.
ask() {
  local url
  url=$(sed -n 's/^export AWS_ENDPOINT_URL=//p' "$folder/exports")
  NO_PROXY="$direct" no_proxy="$direct" python - "$url" "$@" <<'PYTHON'
import json
import sys
import urllib.error
import urllib.request

url, method, route, *body = sys.argv[1:]
request = urllib.request.Request(f"{url}/_local_cloud/{route}", method=method)
request.data = body[0].encode() if body else None
try:
    with urllib.request.urlopen(request) as answer:
        said = json.load(answer)
except urllib.error.HTTPError as error:
    sys.exit(f"cloud.sh: {json.load(error)['message']}")
if route == "images":
    print(said["uri"])
elif route == "status":
    for noun, found in said["resources"].items():
        for name, status in found.items():
            print(f"# {noun} {name} {status}".rstrip())
PYTHON
}

# Print what leads to the cloud. The address of one service alone would lead past it.
exports() {
  cat "$folder/exports"
  compgen -e AWS_ENDPOINT_URL_ | sed 's/^/unset /' || true
}

start() {
  local waited=0
  if running; then
    echo "it runs already, as process $(cat "$folder/pid")" >&2
    exports
    return
  fi
  command -v docker >/dev/null || fail "docker is not installed: https://docs.docker.com/get-docker/"
  docker info >/dev/null 2>&1 || fail "no Docker engine answers; start Docker Desktop, or on Linux: \
sudo systemctl start docker. What 'docker info' says: $(docker info 2>&1 | tail -n 1)"
  # shellcheck source=local_test/environment.sh
  source "$top/local_test/environment.sh"
  venv="$top/local_cloud/.venv"
  ensure_environment requirements-cloud.txt >&2

  sweep
  rm -rf "$folder/state" "$folder/log" "$folder/exports"
  (
    cd "$top"
    exec env -u PYTHONPATH -u AWS_ENDPOINT_URL AWS_EC2_METADATA_DISABLED=true \
      NO_PROXY="$direct" no_proxy="$direct" \
      "$venv/bin/python" -m local_cloud --background --port "$port" --clock "$clock" \
      --region "$region" --folder "$folder/state"
  ) >"$folder/log" 2>&1 </dev/null &
  echo $! >"$folder/pid"
  until grep -q '^http' "$folder/log"; do
    running || fail "it ended at once: $(tail -n 1 "$folder/log")"
    [ $((waited += 1)) -lt 300 ] || fail "it does not start; its log: $folder/log"
    sleep 0.1
  done
  cat >"$folder/exports" <<TEXT
export AWS_ENDPOINT_URL=$(grep -m 1 '^http' "$folder/log")
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export AWS_REGION=$region AWS_DEFAULT_REGION=$region
export AWS_EC2_METADATA_DISABLED=true
export NO_PROXY='$direct' no_proxy='$direct'
unset AWS_PROFILE AWS_SESSION_TOKEN
TEXT
  exports
}

case "$command" in
  start)
    [ ${#words[@]} -eq 0 ] || fail "start takes options only, not '${words[*]}'; see --help" 64
    start
    ;;
  push)
    [ ${#words[@]} -ge 1 ] || fail "which image? For example: local_test/cloud.sh push taxi-fare" 64
    running || fail "no cloud runs; start it: local_test/cloud.sh start" 3
    named=${words[1]:+, \"name\": \"${words[1]}\"}
    ask POST images "{\"image\": \"${words[0]}\"$named}"
    ;;
  interrupt)
    [ ${#words[@]} -eq 1 ] || fail "which training job? 'local_test/cloud.sh status' lists them" 64
    running || fail "no cloud runs; start it: local_test/cloud.sh start" 3
    ask POST interruptions "{\"job\": \"${words[0]}\"}"
    echo "${words[0]} loses its instances, and goes on with others"
    ;;
  status)
    running || { echo "no cloud runs; start it: local_test/cloud.sh start" >&2; exit 3; }
    exports
    ask GET status
    ;;
  stop)
    if running; then
      kill "$(cat "$folder/pid")"
      while running; do sleep 0.1; done
    else
      echo "no cloud runs" >&2
    fi
    sweep
    rm -rf "$folder/pid" "$folder/exports" "$folder/state"
    ;;
  *) fail "expected start, push, interrupt, status or stop, got '$command'; see --help" 64 ;;
esac
