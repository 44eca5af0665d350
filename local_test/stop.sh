#!/usr/bin/env bash
# Stops what start.sh started, as SageMaker stops an instance.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/stop.sh IMAGE

Sends SIGTERM to the server of IMAGE, gives it 30 s to finish its requests, removes the container
and exits with the server's exit code: 0 means that no request was lost.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=local_test/docker.sh
source "$here/docker.sh"

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) fail "unknown option '$1'; see --help" 64 ;;
esac
[ $# -le 1 ] || fail "one image, not $#; see --help" 64
need_image "${1:-}"

container=$(docker ps --all --quiet --filter "label=local_test.serve=$1")
[ -n "$container" ] || fail "$1 is not being served; start it: local_test/start.sh $1"
docker stop -t 30 "$container" >/dev/null
status=$(docker wait "$container")
[ "$status" -eq 0 ] || docker logs --tail 50 "$container" >&2
docker rm "$container" >/dev/null
echo "stopped $1: exit code $status"
exit "$status"
