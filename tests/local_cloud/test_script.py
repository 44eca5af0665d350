"""
local_test/cloud.sh: the cloud as a process.
"""

import os
import subprocess
import sys
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
    1. start 2. start again 3. the AWS command line uses the exports 4. an image is pushed 5. stop.
    Result: the same exports, the image's digest in ECR, and nothing is left.
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
        pushed = run(folder, "push", image, "team/mine:v1")
        assert pushed.returncode == 0, pushed.stderr
        uri = pushed.stdout.strip()
        script = f"""
            {started.stdout}
            export PATH={Path(sys.executable).parent}:$PATH
            aws s3 mb s3://from-the-command-line >/dev/null
            aws ecr describe-images --repository-name team/mine --image-ids imageTag=v1 \\
              --query 'imageDetails[0].imageDigest' --output text
            aws sagemaker create-model --model-name pushed --primary-container Image={uri} \\
              --execution-role-arn arn:aws:iam::123456789012:role/any --query ModelArn --output text
        """
        done = subprocess.run(
            ["bash", "-euc", script],
            env=os.environ | {"HOME": str(tmp_path)},
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
