"""build_and_push.sh: from a folder to an image in ECR that SageMaker takes."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import aws
import containers
from project import TOP

# A build that takes no time: an image with one file, for the platform in the file `platform`.
BUILD = """#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
touch built
docker build --platform "$(cat platform)" --tag "$1" .
"""

# Stands in for the docker command: writes down how it was called, answers what is asked.
FAKE_DOCKER = """#!/usr/bin/env bash
echo "$* [DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-}]" >>"$FAKE_DOCKER_LOG"
case "$1 ${2:-}" in
  "build --help") echo "--platform --provenance --output" ;;
  "image inspect") case "$*" in *Architecture*) echo linux/amd64 ;; *) echo 1000000 ;; esac ;;
  "login "*) cat >/dev/null ;;
esac
"""

# Lets the engine push, then puts an index where the image's tag was, as newer engines do.
INDEXING_DOCKER = """#!/usr/bin/env bash
set -euo pipefail
"$REAL_DOCKER" "$@"
[ "$1" != push ] || "$PYTHON" -c '
import json, os, sys
sys.path.insert(0, os.environ["TESTS"])
import aws
registry = aws.Registry.__new__(aws.Registry)
registry.host, _, path = sys.argv[1].partition("/")
name, _, tag = path.partition(":")
manifest, media_type, digest = registry.request(f"{name}/manifests/{tag}")
image = {"mediaType": media_type, "digest": digest, "size": len(manifest)}
image["platform"] = {"architecture": "amd64", "os": "linux"}
index = {"schemaVersion": 2, "mediaType": aws.OCI_INDEX, "manifests": [image]}
registry.request(
    f"{name}/manifests/{tag}", "PUT", json.dumps(index).encode(), content_type=aws.OCI_INDEX
)' "${@: -1}"
"""


def git(folder: Path, *arguments: str) -> str:
    """
    Return what git prints.
    """
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Project:
    """
    A folder with build_and_push.sh, a quick build.sh and one commit, and its caller's environment.
    """

    def __init__(self, folder: Path, caller: dict[str, str]) -> None:
        """
        Make the folder.
        """
        self.folder = folder
        self.caller = caller
        folder.mkdir()
        shutil.copy(TOP / "build_and_push.sh", folder)
        self.write("build.sh", BUILD)
        self.write("Dockerfile", "FROM scratch\nCOPY program /program\n")
        self.write("program", str(folder))  # no two projects share an image
        self.write("platform", "linux/amd64")
        self.write(".gitignore", "built\n")
        git(folder, "init", "--quiet")
        self.commit()

    def write(self, name: str, text: str) -> None:
        """
        Write an executable file.
        """
        (self.folder / name).write_text(text, encoding="utf-8")
        (self.folder / name).chmod(0o755)

    def commit(self) -> str:
        """
        Commit everything and return the revision.
        """
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--message", "x")
        return git(self.folder, "rev-parse", "--short=12", "HEAD")

    def built(self) -> bool:
        """
        Tell whether build.sh was started.
        """
        return (self.folder / "built").exists()

    def fake(self, program: str, text: str, **variables: str) -> None:
        """
        Put a program before the others on PATH.
        """
        bin_folder = self.folder.parent / "bin"
        bin_folder.mkdir(exist_ok=True)
        (bin_folder / program).write_text(text, encoding="utf-8")
        (bin_folder / program).chmod(0o755)
        self.caller |= {"PATH": f"{bin_folder}{os.pathsep}{self.caller['PATH']}", **variables}

    def run(self, *arguments: str, **variables: str | None) -> "subprocess.CompletedProcess[str]":
        """
        Run build_and_push.sh; a variable that is None is not set. No output holds a secret.
        """
        changed = self.caller | variables
        done = subprocess.run(
            [str(self.folder / "build_and_push.sh"), *arguments],
            env={name: value for name, value in changed.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
        )
        for secret in (aws.PASSWORD, changed.get("AWS_SECRET_ACCESS_KEY") or "?" * 9):
            assert secret not in done.stdout + done.stderr
        return done

    def push(self, *arguments: str) -> tuple[str, str]:
        """
        Return the URI by tag and by digest of what was pushed.
        """
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        by_tag, by_digest = done.stdout.splitlines()
        return by_tag, by_digest


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """AWS's API with a registry behind it."""
    with aws.registry(tmp_path / "registry") as registry, aws.api(registry) as api:
        yield SimpleNamespace(api=api, registry=registry)


@pytest.fixture
def project(tmp_path: Path, cloud: SimpleNamespace) -> Iterator[Project]:
    """A project whose caller has credentials, and an engine with none of its images afterwards."""
    caller = aws.environment(
        tmp_path / "home", ECR_REGISTRY=cloud.registry.host, **aws.credentials(cloud.api)
    )
    yield Project(tmp_path / "project", caller)
    for reference in ("pushed", f"{cloud.registry.host}/*"):
        images = containers.docker("image", "ls", "--quiet", reference).split()
        if images:
            containers.docker("image", "rm", "--force", "--no-prune", *images)


@pytest.fixture
def api() -> Iterator[aws.Api]:
    """AWS's API alone."""
    with aws.api() as started:
        yield started


@pytest.fixture
def desk(tmp_path: Path, api: aws.Api) -> Project:
    """A project whose caller has credentials and a docker command that only takes notes."""
    caller = aws.environment(tmp_path / "home", **aws.credentials(api))
    made = Project(tmp_path / "project", caller)
    made.fake("docker", FAKE_DOCKER, FAKE_DOCKER_LOG=str(tmp_path / "docker.log"))
    return made


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_first_push_creates_the_repository(project: Project, cloud: SimpleNamespace) -> None:
    """A missing repository is made to scan, to keep its tags and to expire untagged images only."""
    revision = git(project.folder, "rev-parse", "--short=12", "HEAD")

    by_tag, by_digest = project.push("pushed")

    ecr = cloud.api.ecr()
    (repository,) = ecr.describe_repositories(repositoryNames=["pushed"])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = ecr.get_lifecycle_policy(repositoryName="pushed")["lifecyclePolicyText"]
    assert [rule["selection"]["tagStatus"] for rule in json.loads(policy)["rules"]] == ["untagged"]
    _, media_type, digest = cloud.registry.request(f"pushed/manifests/{revision}")
    assert media_type == aws.DOCKER_V2
    assert by_tag == f"{cloud.registry.host}/pushed:{revision}"
    assert by_digest == f"{cloud.registry.host}/pushed@{digest}"


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_second_push_reuses_the_repository(project: Project, cloud: SimpleNamespace) -> None:
    """A push to a repository that exists makes and changes none."""
    project.push("pushed", "v1")
    cloud.api.denied = {"CreateRepository", "PutLifecyclePolicy"}
    project.write("program", "changed")
    project.commit()

    project.push("pushed", "v2")

    assert cloud.registry.tags("pushed") == ["v1", "v2"]


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_taken_tag_is_refused_before_the_build(project: Project, cloud: SimpleNamespace) -> None:
    """A tag that is taken is refused with the image it stands for, and nothing is built."""
    _, by_digest = project.push("pushed", "v1")
    (project.folder / "built").unlink()
    project.write("program", "changed")

    done = project.run("pushed", "v1")

    assert done.returncode == 1
    assert f"Use that image: {by_digest}" in done.stderr
    assert "./build_and_push.sh pushed v2" in done.stderr
    assert not project.built()


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_movable_tag_moves(project: Project, cloud: SimpleNamespace) -> None:
    """In somebody's repository with mutable tags the same tag may be pushed again."""
    cloud.api.ecr().create_repository(repositoryName="pushed")
    _, first = project.push("pushed", "latest")
    project.write("program", "changed")

    _, second = project.push("pushed", "latest")

    assert first != second


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_wrong_password_is_refused(
    project: Project, cloud: SimpleNamespace, tmp_path: Path
) -> None:
    """A registry that refuses AWS's password gets nothing, and the message says what to compare."""
    with aws.registry(tmp_path / "other", aws.OTHER_USERS) as other:
        done = project.run("pushed", ECR_REGISTRY=other.host)

    assert done.returncode == 1
    assert f"logging in to {other.host} failed" in done.stderr
    assert "401 Unauthorized" in done.stderr
    assert "same account and region" in done.stderr
    assert not (tmp_path / "other" / "storage").exists()


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_registry_of_somebody_else_is_noticed(project: Project, tmp_path: Path) -> None:
    """A push that AWS does not find again has gone to the wrong registry, which is said."""
    with aws.registry(tmp_path / "other") as other:
        done = project.run("pushed", "v1", ECR_REGISTRY=other.host)

        containers.docker("image", "rm", f"{other.host}/pushed:v1")

    assert done.returncode == 1
    assert done.stdout == ""
    assert f"Check that ECR_REGISTRY='{other.host}' belongs to this account" in done.stderr


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_failed_build_pushes_nothing(project: Project, cloud: SimpleNamespace) -> None:
    """When the build fails, no repository is made and nothing reaches the registry."""
    project.write("Dockerfile", "FROM scratch\nCOPY missing /\n")

    done = project.run("pushed")

    assert done.returncode == 1
    assert "the build failed, see above; nothing was pushed" in done.stderr
    assert cloud.api.ecr().describe_repositories()["repositories"] == []
    assert cloud.registry.tags("pushed") == []


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_other_architecture_is_refused(project: Project, cloud: SimpleNamespace) -> None:
    """An image for another platform than the wanted one is not pushed."""
    project.write("platform", "linux/arm64")

    done = project.run("pushed")

    assert done.returncode == 1
    assert "the image is for linux/arm64, not for linux/amd64; nothing was" in done.stderr
    assert cloud.api.ecr().describe_repositories()["repositories"] == []


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_other_architecture_is_pushed_when_wanted(project: Project, cloud: SimpleNamespace) -> None:
    """PLATFORM=linux/arm64 pushes an image for arm64."""
    project.write("platform", "linux/arm64")

    done = project.run("pushed", "arm", PLATFORM="linux/arm64")

    assert done.returncode == 0, done.stderr
    assert cloud.registry.tags("pushed") == ["arm"]


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_index_is_refused(project: Project) -> None:
    """A pushed OCI index is refused, with the commands that delete it and make it right."""
    real = shutil.which("docker", path=project.caller["PATH"])
    assert real
    project.fake(
        "docker",
        INDEXING_DOCKER,
        REAL_DOCKER=real,
        PYTHON=sys.executable,
        TESTS=str(TOP / "tests/support"),
    )

    done = project.run("pushed", "v1")

    assert done.returncode == 1
    assert done.stdout == ""
    assert f"its manifest is {aws.OCI_INDEX}, expected" in done.stderr
    assert "batch-delete-image --repository-name pushed --image-ids imageTag=v1" in done.stderr
    assert "https://docs.docker.com/go/buildx/" in done.stderr


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_dirty_tree_says_so(project: Project) -> None:
    """What is not committed shows in the tag and in the output."""
    revision = git(project.folder, "rev-parse", "--short=12", "HEAD")
    project.write("program", "changed")

    done = project.run("pushed")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{project.caller['ECR_REGISTRY']}/pushed:{revision}-dirty\n")
    assert "the tree is dirty" in done.stderr
    assert "M program" in done.stderr


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_missing_lifecycle_permission_does_not_stop_the_push(
    project: Project, cloud: SimpleNamespace
) -> None:
    """Studio's usual role cannot set a lifecycle policy; it pushes, and is told."""
    cloud.api.denied = {"PutLifecyclePolicy"}

    done = project.run("pushed", "v1")

    assert done.returncode == 0, done.stderr
    assert "no lifecycle policy was set, so nothing ever expires" in done.stderr


@pytest.mark.docker
@pytest.mark.needs("docker-registry")
def test_pushed_image_trains_and_serves(cloud: SimpleNamespace, tmp_path: Path) -> None:
    """The project's own image comes back from the registry by its digest, trains and serves."""
    caller = aws.environment(
        tmp_path / "home", ECR_REGISTRY=cloud.registry.host, **aws.credentials(cloud.api)
    )
    script = [str(TOP / "build_and_push.sh"), "container-suite/mock", "v1"]
    done = subprocess.run(
        [*script, "--algorithm", "examples/mock/mock_model"],
        env=caller,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    by_tag, by_digest = done.stdout.splitlines()
    containers.docker("image", "rm", "--no-prune", by_tag, "container-suite/mock:v1")

    login = {"DOCKER_CONFIG": caller["DOCKER_CONFIG"]}
    subprocess.run(["docker", "pull", by_digest], env=os.environ | login, check=True)
    try:
        job = containers.Job(tmp_path / "ml", None, slope=3)
        assert job.train(by_digest, "train") == 0, job.log
        with containers.server(by_digest, job.model) as server:
            assert server.predict(b"2\n4\n").body.split() == [b"6.0", b"12.0"]
    finally:
        containers.docker("image", "rm", "--no-prune", by_digest)


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("eu-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("us-isob-east-1", "sc2s.sgov.gov"),
    ],
)
def test_address_is_the_one_that_aws_gives(
    desk: Project, api: aws.Api, region: str, domain: str
) -> None:
    """Login and push go to the host that AWS names for the repository, in every partition."""
    api.domain = domain
    ecr = api.ecr(region)
    ecr.create_repository(repositoryName="pushed")  # mutable, so its image is no hindrance
    manifest = json.dumps({"schemaVersion": 2, "mediaType": aws.DOCKER_V2, "layers": []})
    ecr.put_image(repositoryName="pushed", imageTag="v1", imageManifest=manifest)

    done = desk.run("pushed", "v1", AWS_REGION=region)

    assert done.returncode == 0, done.stderr
    host = f"{aws.ACCOUNT}.dkr.ecr.{region}.{domain}"
    assert done.stdout.startswith(f"{host}/pushed:v1\n{host}/pushed@sha256:")
    calls = Path(desk.caller["FAKE_DOCKER_LOG"]).read_text(encoding="utf-8")
    assert f"login --username AWS --password-stdin {host} " in calls
    assert f"push {host}/pushed:v1 " in calls


@pytest.mark.parametrize(
    "name",
    ["Taxi-Fare", "a", "taxi fare", "_taxi", "taxi--fare", "taxi/", "taxi:v1", "t" * 257],
)
def test_impossible_name_is_refused(desk: Project, name: str) -> None:
    """A name that ECR would refuse is refused with the rule and an example."""
    done = desk.run(name)

    assert done.returncode == 64
    assert f"the image name is '{name}'; expected 2 to 256 small letters" in done.stderr
    assert "such as taxi-fare" in done.stderr


@pytest.mark.parametrize("name", ["ab", "taxi-fare", "team/taxi_fare", "a.b/c-d/e2"])
def test_possible_name_is_taken(desk: Project, name: str) -> None:
    """A name that ECR takes is not what stops the script."""
    done = desk.run(name, "v1", AWS_REGION=None)

    assert "no AWS region is set" in done.stderr


@pytest.mark.parametrize("tag", [".v1", "v 1", "v/1", "v" * 129])
def test_impossible_tag_is_refused(desk: Project, tag: str) -> None:
    """A tag that registries would refuse is refused with the rule and an example."""
    done = desk.run("pushed", tag)

    assert done.returncode == 64
    assert f"the tag is '{tag}'; expected at most 128" in done.stderr


def test_without_git_a_tag_is_needed(desk: Project) -> None:
    """An unpacked archive has no revision: the caller is asked for a tag."""
    shutil.rmtree(desk.folder / ".git")

    done = desk.run("pushed", GIT_CEILING_DIRECTORIES=str(desk.folder.parent))

    assert done.returncode == 64
    assert "Give a tag: ./build_and_push.sh pushed v1" in done.stderr


def test_unknown_platform_is_refused(desk: Project) -> None:
    """SageMaker has two platforms; more than one at once, or another, is refused."""
    done = desk.run("pushed", PLATFORM="linux/amd64,linux/arm64")

    assert done.returncode == 64
    assert "PLATFORM is 'linux/amd64,linux/arm64'; expected one platform" in done.stderr


NO_CREDENTIALS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


@pytest.mark.parametrize(
    ("variables", "said", "remedy"),
    [
        (NO_CREDENTIALS, "Unable to locate credentials", "run 'aws configure' or\n'aws sso login'"),
        ({"AWS_PROFILE": "absent"}, "profile (absent)", "export AWS_PROFILE=NAME"),
        ({"AWS_REGION": None}, "no AWS region is set", "export AWS_REGION=eu-west-1"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "Could not connect", "HTTPS_PROXY"),
    ],
    ids=["credentials", "profile", "region", "network"],
)
def test_what_is_missing_is_said(
    desk: Project, variables: dict[str, str | None], said: str, remedy: str
) -> None:
    """What AWS lacks is said with what to do about it, before anything is built."""
    done = desk.run("pushed", **variables)

    assert done.returncode == 1
    assert said in done.stderr
    assert remedy in done.stderr
    assert not desk.built()


@pytest.mark.parametrize(
    "action", ["DescribeRepositories", "CreateRepository", "GetAuthorizationToken"]
)
def test_missing_permission_is_said(desk: Project, api: aws.Api, action: str) -> None:
    """A denied action is named with all that a push needs, and nothing is pushed."""
    api.denied = {action}

    done = desk.run("pushed", "v1")

    assert done.returncode == 1
    assert f"not authorized to perform: ecr:{action}" in done.stderr
    assert "CompleteLayerUpload, BatchGetImage, PutImage" in done.stderr
    calls = Path(desk.caller["FAKE_DOCKER_LOG"]).read_text(encoding="utf-8")
    assert not re.search("^push", calls, re.MULTILINE)


def test_denied_push_is_said(desk: Project) -> None:
    """What the registry answers to a push without permission is shown with the remedy."""
    push = (
        'case "$1" in push) echo "denied: User: x is not authorized to perform: '
        'ecr:InitiateLayerUpload on resource: y"; exit 1 ;; esac\n'
    )
    desk.fake("docker", FAKE_DOCKER + push)

    done = desk.run("pushed", "v1")

    assert done.returncode == 1
    assert "docker push failed:\ndenied: User: x is not authorized" in done.stderr
    assert "sagemaker-pushed" in done.stderr


def test_tag_taken_meanwhile_is_said(desk: Project) -> None:
    """ECR's own refusal of a tag that was pushed during the build gets the same remedy."""
    refusal = (
        "tag invalid: The image tag 'v1' already exists in the 'pushed' repository "
        "and cannot be overwritten because the repository is immutable."
    )
    push = f'case "$1" in push) echo "{refusal}"; exit 1 ;; esac\n'
    desk.fake("docker", FAKE_DOCKER + push)

    done = desk.run("pushed", "v1")

    assert done.returncode == 1
    assert "choose another tag: ./build_and_push.sh pushed v2" in done.stderr


def test_silent_engine_is_said(desk: Project) -> None:
    """An engine that does not answer is named with what to start."""
    complaint = "Cannot connect to the Docker daemon at unix:///nonexistent."
    desk.fake("docker", f"#!/usr/bin/env bash\necho '{complaint}' >&2\nexit 1\n")

    done = desk.run("pushed")

    assert done.returncode == 1
    assert f"no Docker engine answers:\n{complaint}" in done.stderr
    assert "sudo systemctl start docker" in done.stderr


@pytest.mark.parametrize("program", ["docker", "aws"])
def test_missing_program_is_said(desk: Project, tmp_path: Path, program: str) -> None:
    """Without docker or the AWS command line the place to get it from is named."""
    only = tmp_path / "only"
    only.mkdir()
    programs = ("bash", "cat", "dirname", "docker", "env", "git", "grep", "head", "mktemp", "rm")
    for other in programs:
        if other != program:
            found = shutil.which(other, path=desk.caller["PATH"])
            assert found, other
            (only / other).symlink_to(found)

    done = desk.run("pushed", PATH=str(only))

    assert done.returncode == 1
    assert re.search(f"(?i){program}.* is not installed:.*https://", done.stderr, re.DOTALL)


def build_command(desk: Project, **variables: str) -> str:
    """
    Return how the project's own build.sh calls docker build.
    """
    shutil.copy(TOP / "build.sh", desk.folder)
    (desk.folder / "container/toy").mkdir(parents=True)
    (desk.folder / "container/toy/__init__.py").touch()
    desk.run("pushed", "v1", **variables)
    calls = Path(desk.caller["FAKE_DOCKER_LOG"]).read_text(encoding="utf-8")
    (build,) = re.findall(r"^build --tag.*", calls, re.MULTILINE)
    return str(build)


def test_studio_is_recognised(desk: Project) -> None:
    """In SageMaker Studio the image is built on its network by the builder that knows it."""
    build = build_command(desk, SAGEMAKER_APP_TYPE="JupyterLab")

    assert "--network sagemaker" in build
    assert "[DOCKER_BUILDKIT=0]" in build


@pytest.mark.parametrize(("known", "asked"), [("--platform", False), ("--provenance", True)])
def test_docker_format_is_asked_for(desk: Project, known: str, asked: bool) -> None:
    """A builder that could make OCI manifests is told not to; an older one would not understand."""
    help_text = FAKE_DOCKER.replace("--platform --provenance --output", known)
    desk.fake("docker", help_text, BUILDX_NO_DEFAULT_ATTESTATIONS="")

    build = build_command(desk)

    assert ("--output type=docker,oci-mediatypes=false" in build) == asked
    assert "--network" not in build


def test_help_names_what_can_be_set() -> None:
    """--help shows the arguments and every variable that is read."""
    script = str(TOP / "build_and_push.sh")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)

    for word in ("IMAGE_NAME [TAG]", "AWS_REGION", "BASE_IMAGE", "ECR_REGISTRY", "PLATFORM"):
        assert word in done.stdout
