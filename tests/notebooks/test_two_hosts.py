"""SageMaker's SDK in local mode starts two hosts, and gets one model from them."""

import json
import os
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest

import aws
import containers
from notebooks import archived, environment_of, the

pytestmark = pytest.mark.docker

SCRIPT = """
import json, subprocess, sys
from pathlib import Path
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession

work, image = Path(sys.argv[1]), sys.argv[2]
silent = {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}
session = LocalSession(sagemaker_config={"SchemaVersion": "1.0", "SageMaker": silent})
session.config = {"local": {"container_root": str(work)}}
estimator = Estimator(
    image,
    "arn:aws:iam::123456789012:role/SageMaker",
    instance_count=2,
    instance_type="local",
    output_path=f"file://{work}/output",
    sagemaker_session=session,
)
estimator.fit({"training": f"file://{work}/data"})
own = ["--all", "--filter", f"ancestor={image}", "--filter", "network=sagemaker-local"]
listed = ["docker", "ps", *own, "--format", "{{.Names}} {{.Status}}"]
states = subprocess.check_output(listed, text=True).splitlines()
for name in [state.split()[0] for state in states]:
    subprocess.run(["docker", "rm", "--force", name], stdout=subprocess.DEVNULL)
(work / "states.json").write_text(json.dumps(states))
"""


@pytest.fixture(scope="module")
def shared_image() -> Iterator[str]:
    """The image of the example that trains on several hosts."""
    kit = "examples/several_hosts/shared_model"
    with containers.built(f"container-suite/shared:{os.getpid()}", "--algorithm", kit) as tag:
        yield tag


def test_two_hosts_in_local_mode_make_one_model(shared_image, tmp_path):
    """Both containers end well, the archive holds the one model, and no failure was written."""
    (tmp_path / "data").mkdir()
    random = np.random.default_rng(0)
    rows = [
        f"{a:.2f},{a * 9:.1f},{b}"
        for a, b in zip(random.uniform(0, 9, 500), [0, 1] * 250, strict=True)
    ]
    (tmp_path / "data/rows.csv").write_text("\n".join(["size,age,bought", *rows]) + "\n")
    (tmp_path / "train.py").write_text(SCRIPT)
    done = subprocess.run(
        [environment_of("train_and_deploy"), "train.py", str(tmp_path), shared_image],
        cwd=tmp_path,
        env=aws.environment(tmp_path, AWS_DEFAULT_REGION=aws.REGION, TMPDIR=str(tmp_path)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    states = json.loads((tmp_path / "states.json").read_text())
    assert len(states) == 2
    assert all("Exited (0)" in state for state in states), done.stdout
    assert "model.json" in archived(the(tmp_path / "output", "model.tar.gz"))
    assert "failure" not in archived(the(tmp_path / "output", "output.tar.gz"))
    assert "the model is that of the leader" in done.stdout
