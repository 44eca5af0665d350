#!/usr/bin/env bash
# Sends a request to the running server and prints the answer.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: local_test/predict.sh [FILE] [CONTENT-TYPE]

Sends FILE to /invocations and prints the answer. The Content-Type is guessed from the ending: .csv,
.json, .jsonl, .txt, .npy, .png, .jpg. Without a file the algorithm's own example is sent, which
the running container states. Status, Content-Type and time go to stderr. An answer other than 2xx
makes the script fail.

Environment:
  PORT       the server's port on this machine (default: 8080)
  MODEL      the model to ask at a multi-model endpoint (docs/multi-model.md), URL-encoded
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
[ $# -le 2 ] || fail "expected at most a file and a content type, got $# arguments" 64

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
port=${PORT:-8080}
url=${SERVE_URL:-http://127.0.0.1:$port}
path=${MODEL:+/models/$MODEL/invoke}
path=${path:-/invocations}
file=${1:-} content_type=${2:-}
command -v curl >/dev/null || fail "curl is not installed"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# example FILE: write the example of the algorithm that is served, or else of the one in container/.
example() {
  local container=""
  [ -n "${SERVE_URL:-}" ] || ! command -v docker >/dev/null \
    || container=$(docker ps --quiet --filter label=local_test.serve --filter "publish=$port" \
      2>/dev/null || true)
  if [ -n "$container" ]; then
    docker exec --interactive "$container" python3 - <"$top/local_test/example.py" >"$1"
  else
    (cd "$top" && .venv/bin/python local_test/example.py) >"$1"
  fi
}

if [ -z "$file" ]; then
  curl --silent --output "$scratch/answer" --max-time 10 "$url/ping" \
    || fail "nothing answers at $url; start the server: local_test/serve-local.sh IMAGE"
  example "$scratch/example" \
    || fail "the algorithm's example could not be read (the reason stands above); name a file"
  content_type=$(head -n 1 "$scratch/example")
  file=$scratch/request
  tail -n +2 "$scratch/example" >"$file"
fi
[ -f "$file" ] || fail "there is no file '$file'"
if [ -z "$content_type" ]; then
  case "$file" in
    *.csv) content_type=text/csv ;;
    *.json) content_type=application/json ;;
    *.jsonl) content_type=application/jsonlines ;;
    *.txt) content_type=text/plain ;;
    *.npy) content_type=application/x-npy ;;
    *.png) content_type=image/png ;;
    *.jpg | *.jpeg) content_type=image/jpeg ;;
    *) fail "no content type known for '$file'; give it as the second argument, such as text/csv" 64 ;;
  esac
fi

said=$(curl --silent --show-error --max-time 60 --header "Content-Type: $content_type" \
  --data-binary "@$file" --output "$scratch/answer" \
  --write-out '%{http_code} %{content_type}, %{time_total} s' "$url$path") \
  || fail "nothing answers at $url; start the server: local_test/serve-local.sh IMAGE"

case "$said" in
  2??" "*)
    cat "$scratch/answer"
    echo "$said" >&2
    ;;
  *)
    cat "$scratch/answer" >&2
    printf '\n' >&2
    fail "$url$path answered ${said%% *} (the body stands above)"
    ;;
esac
