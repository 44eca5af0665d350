"""
local_test/cloud.sh: the cloud as a process.
"""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from containers import docker
from harness import free_port
from project import clone

pytestmark = pytest.mark.docker


def run(folder, *words, **environ):
    return subprocess.run(
        [folder / "local_test/cloud.sh", *words],
        env=os.environ | environ,
        capture_output=True,
        text=True,
    )


def test_the_cloud_starts_is_used_and_stops(image, tmp_path):
    """
    1. start 2. start again 3. an image is pushed, by a bad name too 4. the AWS command line uses
    the exports, where S3 has its own address 5. stop. Result: the same exports, the image's digest
    in ECR, a sentence on what is wrong, and nothing is left.
    """
    folder = clone(tmp_path / "clone")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    assert run(folder, "status").returncode == 3
    with free_port() as port:
        pass
    started = run(folder, "start", "--port", str(port), "--clock", "100")
    assert started.returncode == 0, started.stderr
    try:
        assert f"export AWS_ENDPOINT_URL=http://127.0.0.1:{port}" in started.stdout
        assert run(folder, "start").stdout == started.stdout
        assert (folder / "local_cloud/.run/state/identity").read_text()
        pushed = run(folder, "push", image, "team/mine:v1")
        assert pushed.returncode == 0, pushed.stderr
        uri = pushed.stdout.strip()
        for words, said in (
            (("push", image, "Not/A-Name"), "'Not/A-Name' is not REPOSITORY[:TAG]; expected small"),
            (("push", "none-such"), "none-such"),
            (("interrupt", "none-such"), "none-such"),
        ):
            refused = run(folder, *words)
            assert refused.returncode == 1
            assert said in refused.stderr
            assert "<" not in refused.stderr
        environ = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
        script = f"""
            {run(folder, "status", **environ).stdout}
            aws s3api head-bucket --bucket rehearsal >/dev/null
            aws iam get-role --role-name rehearsal >/dev/null
            aws s3 mb s3://from-the-command-line >/dev/null
            aws ecr describe-images --repository-name team/mine --image-ids imageTag=v1 \\
              --query 'imageDetails[0].imageDigest' --output text
            aws sagemaker create-model --model-name pushed --primary-container Image={uri} \\
              --execution-role-arn arn:aws:iam::123456789012:role/any --query ModelArn --output text
        """
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euc", script],
            env=os.environ | environ | {"HOME": str(tmp_path), "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        digest, arn = done.stdout.split()
        assert uri == f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/mine@{digest}"
        assert arn == "arn:aws:sagemaker:eu-west-1:123456789012:model/pushed"
        status = run(folder, "status")
        assert "# Model pushed" in status.stdout
    finally:
        stopped = run(folder, "stop")
    assert stopped.returncode == 0
    assert run(folder, "status").returncode == 3
    assert (
        docker("ps", "--quiet", "--filter", "label=local_cloud", "--filter", f"ancestor={image}")
        == ""
    )


def test_what_is_wrong_is_explained(tmp_path):
    """Words and options that are unknown end with 64 and a hint."""
    folder = clone(tmp_path / "clone")
    for words in (("begin",), ("start", "--ports", "1"), ()):
        done = run(folder, *words)
        assert done.returncode == 64
        assert "--help" in done.stderr
    done = run(folder, "push", "image")
    assert done.returncode == 3
    assert "local_test/cloud.sh start" in done.stderr


def test_the_number_of_another_program_is_left_alone(tmp_path):
    """1. a cloud was killed 2. another program has its number. Result: it goes on."""
    folder = clone(tmp_path / "clone")
    run_folder = tmp_path / "with space"
    run_folder.mkdir()
    with subprocess.Popen(["sleep", "60"]) as other:
        (run_folder / "pid").write_text(f"{other.pid}\n")
        try:
            assert run(folder, "status", "--dir", str(run_folder)).returncode == 3
            assert run(folder, "stop", "--dir", str(run_folder)).returncode == 0
            assert other.poll() is None
        finally:
            other.kill()


def test_what_a_killed_cloud_has_left_is_removed(image, tmp_path):
    """Its containers and networks, by the identity that it noted, and no others."""
    folder = clone(tmp_path / "clone")
    state = tmp_path / "run/state"
    state.mkdir(parents=True)
    identity = uuid.uuid4().hex[:12]
    (state / "identity").write_text(identity)
    label = f"local_cloud={identity}"
    docker("create", "--label", label, image, "serve")
    docker("network", "create", "--label", label, f"left-{identity}")
    stopped = run(folder, "stop", "--dir", str(tmp_path / "run"))
    assert stopped.returncode == 0, stopped.stderr
    assert docker("ps", "--all", "--quiet", "--filter", f"label={label}") == ""
    assert docker("network", "ls", "--quiet", "--filter", f"label={label}") == ""
    assert not state.exists()
