#!/usr/bin/env bash
# Puts a model into service: by a canary where the endpoint is there, anew where it is not.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: .github/release/serve.sh ENDPOINT JOB IMAGE

JOB is the training job whose model shall answer, IMAGE the image that serves it. Ends as
./deploy.sh update does: with 5 when the canary was rolled back and the old model serves.

Environment:
  BAKE        seconds to watch the canary (default: 600)
  LATENCY_MS  what the canary's requests may take (default: three times the last day's average)
TEXT
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) echo "serve.sh: unknown option '$1'; see --help" >&2; exit 64 ;;
esac
if [ $# -ne 3 ]; then
  echo "serve.sh: expected an endpoint, a training job and an image; see --help" >&2
  exit 64
fi
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
summary() { echo "$1" | tee -a "${GITHUB_STEP_SUMMARY:-/dev/null}"; }

if ! said=$(aws sagemaker describe-endpoint --endpoint-name "$1" 2>&1); then
  if [[ "$said" != *"Could not find"* ]]; then
    echo "serve.sh: $said" >&2
    exit 3
  fi
  "$top/deploy.sh" realtime --name "$1" --model "$2" --image "$3"
  summary "\`$1\` is new and serves the model of \`$2\`."
  exit
fi
code=0
"$top/deploy.sh" update "$1" --model "$2" --image "$3" --strategy canary --bake "${BAKE:-600}" \
  --latency-ms "${LATENCY_MS:-0}" || code=$?
case "$code" in
  0) summary "\`$1\` serves the model of \`$2\`. Back: run this workflow with *roll_back*." ;;
  5) summary "**Rolled back**: the canary of \`$2\` set off an alarm; \`$1\` serves as before." ;;
  *) summary "The update of \`$1\` ended with code $code; see the log." ;;
esac
exit "$code"
