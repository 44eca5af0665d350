#!/usr/bin/env bash
# Sends a payload to the running server and prints the predictions.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/predict.sh [PAYLOAD] [CONTENT-TYPE]

Sends PAYLOAD (default: local_test/payload.csv) to /invocations. The content type is guessed from
the ending: .csv, .json or .jsonl. An answer other than 2xx is shown and makes the script fail.

Environment:
  PORT       the server's port on this machine (default: 8080)
  SERVE_URL  the server's address, instead of http://127.0.0.1:PORT
TEXT
}

fail() {
  echo "predict.sh: $1" >&2
  exit "${2:-1}"
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) fail "unknown option '$1'; see --help" 64 ;;
esac
[ $# -le 2 ] || fail "expected at most a payload and a content type, got $# arguments" 64

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
payload=${1:-$here/payload.csv}
content_type=${2:-}
[ -f "$payload" ] || fail "there is no file '$payload'"
if [ -z "$content_type" ]; then
  case "$payload" in
    *.csv) content_type=text/csv ;;
    *.json) content_type=application/json ;;
    *.jsonl) content_type=application/jsonlines ;;
    *) fail "no content type known for '$payload'; give it as the second argument, such as text/csv" 64 ;;
  esac
fi
command -v curl >/dev/null || fail "curl is not installed"

url=${SERVE_URL:-http://127.0.0.1:${PORT:-8080}}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
status=$(curl --silent --show-error --max-time 60 --header "Content-Type: $content_type" \
  --data-binary "@$payload" --output "$answer" --write-out '%{http_code}' "$url/invocations") \
  || fail "nothing answers at $url; start the server: local_test/serve-local.sh IMAGE"

case "$status" in
  2??) cat "$answer" ;;
  *)
    cat "$answer" >&2
    printf '\n' >&2
    fail "$url/invocations answered $status (the body stands above)"
    ;;
esac
