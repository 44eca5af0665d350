"""
release.yml from the push to the end, executed on the local cloud and a local registry.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from deploy.errors import ExitCode
from deploy.rehearsal import BUCKET, ROLE
from local_cloud.server import REGION, local_cloud

import aws
import containers
from clouds import Rehearsal
from project import TOP, clone, packages
from workflows import Ended, Runner, environment, program, steps, workflows

pytestmark = [pytest.mark.docker, pytest.mark.needs("docker-registry"), pytest.mark.needs("jq")]

NAME = "toys"
SMALL = TOP / "tests/release/small"
# The truth is 3 for each unit of size.
ROWS = "size,price\n" + "".join(f"{size},{3 * size}\n" for size in range(1, 101))
RARE = b"size\n5000\n"  # there is none like it among those that models are compared by
DOCKERFILE = """FROM {base}
COPY toy-1.0.dist-info /usr/lib/python3/dist-packages/toy-1.0.dist-info
COPY container/train container/serve /usr/bin/
"""

# What AWS does on a push: ECR knows the image by its digest and scans it.
DOCKER = """#!/usr/bin/env bash
set -euo pipefail
"$REAL_DOCKER" "$@"
[ "$1" != push ] || "$PYTHON" -c '
import boto3, os, sys
sys.path.insert(0, os.environ["TESTS"])
import aws
registry = aws.Registry.__new__(aws.Registry)
registry.host, _, path = sys.argv[1].partition("/")
name, _, tag = path.partition(":")
manifest, media_type, digest = registry.request(f"{name}/manifests/{tag}")
ecr = boto3.client("ecr")
ecr.put_image(
    repositoryName=name, imageTag=tag, imageManifest=manifest.decode(),
    imageManifestMediaType=media_type, imageDigest=digest,
)
try:
    ecr.start_image_scan(repositoryName=name, imageId={"imageDigest": digest})
except ecr.exceptions.LimitExceededException:
    pass  # the same image as before
' "${@: -1}"
"""


class Project:
    """
    A repository whose image is quickly pushed and started, its account, and GitHub's runner.
    """

    def __init__(
        self, folder: Path, small: str, cloud: Rehearsal, host: str, variables: dict[str, str]
    ) -> None:
        self.cloud = cloud
        self.host = host
        self.folder = clone(folder / "clone")
        for package in packages(self.folder / "container"):
            shutil.rmtree(self.folder / "container" / package)
        toy = self.folder / "container/toy/__init__.py"
        toy.parent.mkdir()
        toy.touch()
        package = self.folder / "toy-1.0.dist-info/METADATA"
        package.parent.mkdir()
        package.write_text("Name: toy\nVersion: 1.0\n", encoding="utf-8")
        (self.folder / ".dockerignore").unlink()
        text = DOCKERFILE.format(base=small)
        (self.folder / "Dockerfile").write_text(text, encoding="utf-8")
        for room, lock in (
            ("deploy", "requirements-deploy.txt"),
            (".github/release", "requirements-scan.txt"),
        ):
            environment(self.folder, room, lock, Path(sys.prefix))
        program(folder / "bin", "docker", DOCKER)
        credentials = {
            "AWS_ENDPOINT_URL": cloud.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "release",
            "AWS_SECRET_ACCESS_KEY": "the-secret-access-key",
            "ECR_REGISTRY": host,
        }
        real = shutil.which("docker")
        assert real
        programs = {"REAL_DOCKER": real, "PYTHON": sys.executable}
        environ = aws.environment(folder / "home", **programs, **variables)
        environ |= {"TESTS": str(TOP / "tests/support")}
        environ["PATH"] = f"{folder / 'bin'}{os.pathsep}{environ['PATH']}"
        environ.pop("ALGORITHM", None)
        chosen = {
            "APPLICATION": NAME,
            "AWS_ROLE": "arn:aws:iam::123456789012:role/release",
            "AWS_REGION": REGION,
            "EVALUATION_ROWS": f"s3://{BUCKET}/evaluation/",
            "EVALUATION_LABEL": "price",
            "BAKE": "2400",
            "LATENCY_MS": "20000",  # the machine may be busy
        }
        self.runner = Runner(
            self.folder, folder / "jobs", environ, credentials, chosen, self.pullable
        )

    def pullable(self) -> None:
        """
        Let the cloud's instances pull what was pushed, by its digest.
        """
        ecr = self.cloud.client("ecr")
        for repository in ecr.describe_repositories()["repositories"]:
            name, uri = repository["repositoryName"], repository["repositoryUri"]
            for image in ecr.list_images(repositoryName=name)["imageIds"]:
                digest = image["imageDigest"]
                self.cloud.started.cloud.engine.register(
                    f"{uri}@{digest}", f"{self.host}/{name}@{digest}"
                )

    def commit(self, slope: float, fragile: bool = False) -> None:
        """
        Commit another hyperparameter and other code.
        """
        settings = [
            f'application = "{NAME}"',
            f'role = "{ROLE}"',
            f'bucket = "{BUCKET}"',
            "[training.data]",
            f'training = "s3://{BUCKET}/data/"',
            "[training.hyperparameters]",
            f"slope = {slope}",
            "[realtime]",
            "instance_count = 2",
        ]
        (self.folder / "deploy.toml").write_text("\n".join(settings) + "\n", encoding="utf-8")
        for name in ("train", "serve"):
            text = (SMALL / name).read_text(encoding="utf-8")
            text = text.replace('float("inf")', "1000") if fragile else text
            program(self.folder / "container", name, text)
        identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")
        for command in (("add", "-A"), (*identity, "commit", "-q", "-m", f"slope {slope}")):
            subprocess.run(["git", *command], cwd=self.folder, check=True)

    def answer(self, body: bytes = b"size\n2\n") -> str:
        """
        Return what a user of the endpoint gets.
        """
        try:
            return self.cloud.ask(NAME, body).decode().strip()
        except ClientError as error:
            return str(error.response["Error"]["Code"])


@pytest.fixture(scope="module")
def small(image: str) -> Iterator[str]:
    """An image with Python and nothing else."""
    tag = f"container-suite/small:{os.getpid()}"
    containers.docker("build", "--tag", tag, "--build-arg", f"IMAGE={image}", str(SMALL))
    try:
        yield tag
    finally:
        containers.docker("image", "rm", "--force", "--no-prune", tag)


@pytest.fixture
def project(tmp_path: Path, small: str, advisories) -> Iterator[Project]:
    """A project, an account with data, and no image of it in the engine afterwards."""
    with (
        aws.registry(tmp_path / "registry") as registry,
        local_cloud(tmp_path / "cloud", clock=600, startup_s=60) as started,
    ):
        cloud = Rehearsal(started)
        s3 = cloud.client("s3")
        for key in ("data", "evaluation"):
            s3.put_object(Bucket=BUCKET, Key=f"{key}/rows.csv", Body=ROWS.encode())
        yield Project(tmp_path, small, cloud, registry.host, advisories.environment())
    for reference in (NAME, f"{registry.host}/*"):
        if found := containers.docker("image", "ls", "--quiet", reference).split():
            containers.docker("image", "rm", "--force", "--no-prune", *sorted(set(found)))


@contextmanager
def users(project: Project, body: bytes) -> Iterator[Counter[str]]:
    """Four of them ask the endpoint all the while; what they got is counted."""
    answers: Counter[str] = Counter()
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.02):
            answers[project.answer(body)] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    try:
        yield answers
    finally:
        ended.set()
        for each in threads:
            each.join()


def test_releases_from_the_push_to_the_end(project: Project) -> None:
    """
    1. a first release 2. a better model that fails on rare rows, while users ask for such
    3. one that is better and fails on none 4. a roll-back by hand.
    Result: 1. makes the endpoint 2. is better on the rows that they are compared by, its canary
    sets off an alarm, the old one serves 3. serves, and no request failed 4. the first serves.
    What deploys waits for approval, and each run block of the workflow has been executed.
    """
    run = project.runner.run
    project.commit(slope=2)
    jobs = run("release.yml")
    assert results(jobs) == "success success success success skipped", logs(jobs)
    assert "nothing is in service" in jobs["evaluate"].summary
    assert project.answer() == "4.0"
    assert project.runner.approved[-1] == "production"

    project.commit(slope=3, fragile=True)
    with users(project, RARE) as answers:
        jobs = run("release.yml")
    assert results(jobs) == "success success success failure skipped", logs(jobs)
    assert "the challenger is better" in jobs["evaluate"].summary
    assert jobs["deploy"].code == ExitCode.ROLLED_BACK
    assert "Rolled back" in jobs["deploy"].summary
    assert answers["10000.0"] > 0
    assert project.answer(RARE) == "10000.0"

    project.commit(slope=4)
    with users(project, RARE) as answers:
        jobs = run("release.yml")
    assert results(jobs) == "success success success success skipped", logs(jobs)
    assert set(answers) == {"10000.0", "20000.0"}
    assert project.answer() == "8.0"

    jobs = run("release.yml", roll_back=True)
    assert results(jobs) == "skipped skipped skipped skipped success", logs(jobs)
    assert project.answer() == "4.0"
    blocks = {step["run"] for step in steps(workflows()["release.yml"]) if "run" in step}
    assert project.runner.blocks == blocks


def results(jobs: dict[str, Ended]) -> str:
    """
    Return how build, train, evaluate, deploy and roll_back ended.
    """
    return " ".join(each.result for each in jobs.values())


def logs(jobs: dict[str, Ended]) -> str:
    """
    Return what they printed.
    """
    return "\n".join(f"{name}: {each.log}" for name, each in jobs.items())
