#!/usr/bin/env bash
# Looks at what Amazon ECR's scan has found in an image that was pushed.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: .github/release/findings.sh REPOSITORY@DIGEST

Waits until ECR has scanned the image, prints how many findings there are of each severity, and ends
with 1 when one of those in FAIL_ON is among them. Basic scanning knows the base's packages (Debian's),
enhanced scanning Python's too.

Environment:
  FAIL_ON  severities that end a release (default: CRITICAL)
  PATIENCE seconds to wait for the scan (default: 600)
TEXT
}

fail() {
  echo "findings.sh: $1" >&2
  exit "${2:-1}"
}

case "${1:-}" in
  -h | --help) usage; exit 0 ;;
  -*) echo "findings.sh: unknown option '$1'; see --help" >&2; exit 64 ;;
esac
name=${1%@*} digest=${1#*@}
[ $# -eq 1 ] && [ "$name" != "$1" ] || fail "which image? For example: \
.github/release/findings.sh taxi-fare@sha256:..." 64

end=$((SECONDS + ${PATIENCE:-600}))
while true; do
  # Right after the push there is no scan yet; any other error is the caller's to see.
  if said=$(aws ecr describe-image-scan-findings --repository-name "$name" \
    --image-id "imageDigest=$digest" --output json 2>&1); then
    case "$(jq --raw-output .imageScanStatus.status <<<"$said")" in
      COMPLETE | ACTIVE) break ;;
      IN_PROGRESS | PENDING) ;;
      *) fail "ECR could not scan $1: $(jq --compact-output .imageScanStatus <<<"$said")" ;;
    esac
  elif [[ "$said" != *ScanNotFoundException* ]]; then
    fail "$said"
  fi
  [ "$SECONDS" -lt "$end" ] || fail "ECR has not scanned $1; in the settings of the repository
$name turn 'scan on push' on, then scan this image by hand, once"
  sleep 5
done

counts=$(jq --compact-output '.imageScanFindings.findingSeverityCounts // {}' <<<"$said")
echo "ECR's findings in $1: $counts"
for severity in ${FAIL_ON:-CRITICAL}; do
  [ "$(jq --arg name "$severity" '.[$name] // 0' <<<"$counts")" -eq 0 ] \
    || fail "$severity findings end the release; look: aws ecr describe-image-scan-findings \
--repository-name $name --image-id imageDigest=$digest
A newer base or newer packages, or in FAIL_ON only what shall end a release, are the ways on."
done
