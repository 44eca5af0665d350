#!/usr/bin/env bash
# Builds the image and pushes it to Amazon ECR, from where SageMaker takes it.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: ./build_and_push.sh IMAGE_NAME [TAG] [--algorithm FOLDER] [--multi-model]

Builds the image with ./build.sh, creates the ECR repository IMAGE_NAME when it is missing, pushes,
checks that SageMaker can use what was pushed, and prints two lines on standard output: the image's
URI by tag and its URI by digest. Use the second: it always names the same image. For example:
  image=$(./build_and_push.sh taxi-fare | tail -n 1)

TAG is the git revision by default, with -dirty behind it when something is not committed.

A repository created here scans images when they are pushed, never moves a tag to another image,
and deletes only images that have lost their tag, 30 days after the push. What is deployed by tag or
by digest stays as long as nobody removes its tag. A repository that exists is left as it is.

Options:
  --algorithm FOLDER  handed to ./build.sh
  --multi-model       the same

Environment:
  AWS_REGION    the region to push to (default: the AWS command line's own)
  BASE_IMAGE    the base image (default: the one in the Dockerfile)
  ECR_REGISTRY  the registry's host, if not the one that AWS names for your account and region
  PLATFORM      linux/amd64 (default) or linux/arm64; SageMaker trains on linux/amd64 only
TEXT
}

fail() {
  echo "build_and_push.sh: $1" >&2
  exit "${2:-1}"
}

say() { echo "==> $*" >&2; }

# explain DOING: end with what the AWS command line said while DOING and what to do about it.
explain() {
  local said remedy
  said=$(grep . "$scratch/error" | tail -n 3 || true)
  case "$said" in
    *AccessDenied* | *"not authorized to perform"*)
      remedy="Your credentials lack a permission, or name another account than you think (see
aws sts get-caller-identity). Ask for the action named above on repository '$name'; altogether:
ecr:GetAuthorizationToken on *, and on the repository ecr:DescribeRepositories, DescribeImages,
CreateRepository, PutLifecyclePolicy, BatchCheckLayerAvailability, InitiateLayerUpload,
UploadLayerPart, CompleteLayerUpload, BatchGetImage, PutImage. The policy AmazonSageMakerFullAccess,
usual in SageMaker Studio, only pushes to names with 'sagemaker' in them: sagemaker-$name" ;;
    *redentials* | *"config profile"* | *oken* | *SSO* | *Signature* | *RequestExpired*)
      remedy="There are no valid AWS credentials. On your own machine run 'aws configure' or
'aws sso login', or choose a profile: export AWS_PROFILE=NAME. Check with:
aws sts get-caller-identity" ;;
    *onnect* | *imeout* | *"timed out"* | *"dial tcp"* | *SSL* | *resolve* | *"region_name"*)
      remedy="The AWS service for region '$region' cannot be reached. Check that the region exists
(such as eu-west-1), the network, a proxy (HTTPS_PROXY), AWS_ENDPOINT_URL='${AWS_ENDPOINT_URL:-}';
in a private subnet the VPC needs endpoints for ecr.api, ecr.dkr and s3." ;;
    *) remedy="Look the error up in https://docs.aws.amazon.com/AmazonECR/latest/APIReference/" ;;
  esac
  fail "$1 failed:
$said
$remedy"
}

# ask ABSENT ECR-COMMAND ARGUMENT...: print AWS's answer, or nothing when it says ABSENT.
ask() {
  local absent=$1
  shift
  aws --cli-connect-timeout 10 ecr "$@" --output text 2>"$scratch/error" && return
  grep -q "($absent)" "$scratch/error" && return
  explain "aws ecr $1"
}

# With the C locale, because a-z contains capitals in others.
matches() {
  local LC_ALL=C pattern="^($2)\$"
  [[ "$1" =~ $pattern ]]
}

name="" tag="" options=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --algorithm) options+=("$1" "${2:?--algorithm needs a folder, see --help}"); shift ;;
    --multi-model) options+=("$1") ;;
    -*) fail "unknown option '$1'; see --help" 64 ;;
    *)
      [ -z "$tag" ] || fail "one name and one tag, not '$1' too; see --help" 64
      if [ -z "$name" ]; then name=$1; else tag=$1; fi
      ;;
  esac
  shift
done
[ -n "$name" ] || fail "which image? For example: ./build_and_push.sh taxi-fare" 64

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
word='[a-z0-9]+([._-][a-z0-9]+)*'
if ! matches "$name" "($word/)*$word" || [ ${#name} -lt 2 ] || [ ${#name} -gt 256 ]; then
  fail "the image name is '$name'; expected 2 to 256 small letters and digits, with single . _ -
between them and / between parts, such as taxi-fare or team/taxi-fare; the tag is a second argument:
./build_and_push.sh taxi-fare v1" 64
fi
platform=${PLATFORM:-linux/amd64}
case "$platform" in
  linux/amd64 | linux/arm64) ;;
  *) fail "PLATFORM is '$platform'; expected one platform that SageMaker has: linux/amd64, or
linux/arm64 for endpoints on Graviton instances" 64 ;;
esac

top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if revision=$(git -C "$top" rev-parse --short=12 HEAD 2>"$scratch/error"); then
  changed=$(git -C "$top" status --porcelain)
  if [ -n "$changed" ]; then
    say "the tree is dirty, the image will hold what is not committed:"
    echo "$changed" | head -n 5 >&2
    revision=$revision-dirty
  fi
elif [ -z "$tag" ]; then
  fail "no git revision to tag the image with: $(head -n 1 "$scratch/error")
Give a tag: ./build_and_push.sh $name v1" 64
fi
tag=${tag:-$revision}
matches "$tag" '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}' || fail "the tag is '$tag'; expected at most 128
letters, digits and . _ -, not beginning with . or -, such as v1.2" 64

command -v docker >/dev/null || fail "docker is not installed: https://docs.docker.com/get-docker/
In SageMaker Studio:
https://docs.aws.amazon.com/sagemaker/latest/dg/studio-updated-local-get-started.html"
docker version >/dev/null 2>"$scratch/error" || fail "no Docker engine answers:
$(tail -n 1 "$scratch/error")
Start Docker Desktop, or on Linux: sudo systemctl start docker. In SageMaker Studio an administrator
has to enable Docker for the domain (EnableDockerAccess)."
command -v aws >/dev/null || fail "the AWS command line is not installed:
https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"

# Version 1 of the AWS command line knows AWS_DEFAULT_REGION only, version 2 prefers AWS_REGION.
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region 2>/dev/null || true)}}
[ -n "$region" ] || fail "no AWS region is set; choose one: export AWS_REGION=eu-west-1, or put it
into your profile: aws configure set region eu-west-1"
export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER="" \
  AWS_MAX_ATTEMPTS="${AWS_MAX_ATTEMPTS:-3}"

# Asked before the build, so that what is wrong shows in seconds.
repository=$(ask RepositoryNotFoundException describe-repositories --repository-names "$name" \
  --query 'repositories[0].[repositoryUri,imageTagMutability]')
read -r uri mutability <<<"$repository"

# The repository's own address is right in every partition (amazonaws.com.cn, c2s.ic.gov, ...).
address() { echo "${ECR_REGISTRY:-${1%%/*}}/$name"; }

# describe: the pushed image's digest and manifest type, or nothing.
describe() {
  ask ImageNotFoundException describe-images --repository-name "$name" \
    --image-ids "imageTag=$tag" --query 'imageDetails[0].[imageDigest,imageManifestMediaType]'
}

taken() {
  fail "the repository '$name' has an image with the tag '$tag' already, and its tags never move.
Use that image: $1
or commit your changes, or choose another tag: ./build_and_push.sh $name v2"
}

if [ -n "$uri" ] && [ "$mutability" = IMMUTABLE ]; then
  existing=$(describe)
  [ -z "$existing" ] || taken "$(address "$uri")@${existing%%[[:space:]]*}"
fi

say "building $name:$tag"
# ${array[@]+...}: an empty array counts as unset for bash 3.2, macOS's.
"$top/build.sh" "$name:$tag" ${options[@]+"${options[@]}"} >&2 \
  || fail "the build failed, see above; nothing was pushed"

built=$(docker image inspect --format '{{.Os}}/{{.Architecture}}' "$name:$tag")
[ "$built" = "$platform" ] || fail "the image is for $built, not for $platform; nothing was
pushed. A base image for one platform makes this (BASE_IMAGE='${BASE_IMAGE:-}'): take one that has
$platform, or set PLATFORM=$built if your instances are of that kind"

if [ -z "$uri" ]; then
  say "creating the repository $name in $region"
  uri=$(ask '' create-repository --repository-name "$name" --image-tag-mutability IMMUTABLE \
    --image-scanning-configuration scanOnPush=true --query repository.repositoryUri)
  # A tag that never moves never leaves its image untagged; nothing that has a tag expires.
  if ! aws --cli-connect-timeout 10 ecr put-lifecycle-policy --repository-name "$name" \
    --lifecycle-policy-text '{"rules": [{
      "rulePriority": 1,
      "description": "Delete what has lost its tag; nothing that has one",
      "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed",
                    "countUnit": "days", "countNumber": 30},
      "action": {"type": "expire"}}]}' >/dev/null 2>"$scratch/error"; then
    say "no lifecycle policy was set, so nothing ever expires; it needs ecr:PutLifecyclePolicy:"
    cat "$scratch/error" >&2
  fi
fi
image=$(address "$uri")

say "logging in to ${image%%/*}"
# The password goes from one command to the other and is seen nowhere.
if ! aws --cli-connect-timeout 10 ecr get-login-password 2>"$scratch/error" \
  | docker login --username AWS --password-stdin "${image%%/*}" >/dev/null 2>"$scratch/login"; then
  [ ! -s "$scratch/error" ] || explain "aws ecr get-login-password"
  fail "logging in to ${image%%/*} failed:
$(tail -n 2 "$scratch/login")
The registry did not take the password that AWS gave for region '$region'. Check that both are the
same account and region (ECR_REGISTRY='${ECR_REGISTRY:-}', AWS_PROFILE='${AWS_PROFILE:-}',
aws sts get-caller-identity) and that the clock is right."
fi

say "pushing $image:$tag"
docker tag "$name:$tag" "$image:$tag"
if ! docker push "$image:$tag" 2>&1 | tee "$scratch/error" >&2; then
  case "$(cat "$scratch/error")" in
    *"cannot be overwritten"*) taken "$image:$tag" ;;
    *) explain "docker push" ;;
  esac
fi

pushed=$(describe)
read -r digest manifest <<<"$pushed"
[ -n "$digest" ] || fail "AWS does not know the image that was pushed to $image:$tag.
Check that ECR_REGISTRY='${ECR_REGISTRY:-}' belongs to this account and to region '$region'"
if [ "$manifest" != application/vnd.docker.distribution.manifest.v2+json ]; then
  fail "SageMaker would refuse $image:$tag:
its manifest is $manifest, expected
application/vnd.docker.distribution.manifest.v2+json, a single image in Docker's own format.
Delete it: aws ecr batch-delete-image --repository-name $name --image-ids imageTag=$tag
Then build with buildx, which can be told the format: https://docs.docker.com/go/buildx/
or turn the containerd image store off: in Docker Desktop under Settings, General; on Linux by the
feature containerd-snapshotter in /etc/docker/daemon.json."
fi

say "done; the image by tag and by digest:"
echo "$image:$tag"
echo "$image@$digest"
