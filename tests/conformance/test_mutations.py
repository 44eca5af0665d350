"""
Each check finds the fault that it is made for: an image that does one thing wrong fails it.
"""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from conformance.areas import CHECKS
from conformance.command import chosen, judge
from conformance.lab import Given
from conformance.limits import Limits
from conformance.opt_ml import TrainingData
from conformance.sample import Sample
from conformance.verdicts import Outcome, Verdict

from containers import docker

pytestmark = pytest.mark.docker

HERE = Path(__file__).parent
LIMITS = Limits(start=20, stop_serving=4, stop_training=4, recover=6)
LONG = "0" * 60  # digits, so that a megabyte is few rows
ROW = f"1.{LONG},2.{LONG},3.{LONG}\n"

# What the reference image does wrong, by the check that says so.
FAULTS = {
    "train-completes": "no-model",
    "train-offline": "online",
    "failure-exit-code": "exit-0",
    "failure-file": "no-failure",
    "failure-cause": "late-cause",
    "failure-no-model": "early",
    "train-sigterm": "deaf",
    "checkpoints": "checkpoint",
    "inputs-real-config": "config",
    "inputs-subdirectories": "flat",
    "inputs-strings-in-strings": "strings",
    "inputs-platform-hyperparameters": "platform",
    "inputs-pipe": "pipe-ignored",
    "two-hosts": "every-host",
    "ping-start": "loopback",
    "serve-offline": "serve-online",
    "ping-means-ready": "early-ping",
    "unknown-headers": "headers",
    "ping-idle": "slow-ping",
    "ping-busy": "busy-ping",
    "ping-quiet": "noisy",
    "ping-missing-model": "no-model-ping",
    "ping-broken-model": "no-model-ping",
    "content-type-parameters": "parameters",
    "content-type-unknown": "unknown-type",
    "accept": "accept",
    "answer-content-type": "html",
    "bad-input-status": "bad-status",
    "bad-input-short": "long",
    "bad-input-no-insides": "insides",
    "rows-never-fewer": "skip",
    "rows-few": "header",
    "rows-many": "rows-many",
    "payload-6-mb": "6-mb",
    "payload-25-mb": "25-mb",
    "payload-100-mb": "100-mb",
    "concurrency": "shared",
    "stop-in-time": "deaf-server",
    "stop-loses-nothing": "loses",
    "worker-crash": "crash-stays",
    "server-crash": "crash-0",
    "read-only-root": "writes",
    "any-user": "root-only",
    "no-shared-memory": "shared-memory",
    "memory-1-gb": "memory",
    "bind-port": "8080",
    "safe-port-range": "second-port",
    "execution-parameters": "advice",
    "metrics": "metrics",
    "models-label": "no-models",
    "models-load": "no-409",
    "models-list": "own-registry",
    "models-invoke": "own-models",
    "models-unload": "kept",
    "models-unknown": "unknown-400",
    "models-names": "plain-names",
    "models-damaged": "damaged-accepted",
}
# The same, each in a second way.
MORE = [("train-sigterm", "half"), ("inputs-pipe", "pipe-failing"), ("ping-start", "exits")]

# What a second image is, whatever it is told.
BROKEN = (
    "train-starts",
    "serve-starts",
    "line-endings",
    "run-bits",
    "reserved-folders",
    "world-readable",
)
BREAK = r"""
FROM {image}
RUN chmod 644 /reference/train \
    && printf '#!/bin/sh\r\nexec python3 /reference/serve.py\r\n' >/reference/serve \
    && mkdir -p /opt/ml/model && touch /opt/ml/model/weights && chmod 600 /reference/models.py
"""

# What the engine says of the third, which is too large to make.
INSPECTED = {
    "architecture": {"Architecture": "arm64"},
    "size": {"Size": 11 * 10**9},
    "manifest": {"Descriptor": {"mediaType": "application/vnd.oci.image.index.v1+json"}},
}
SHIM = """#!/usr/bin/env python3
import json, subprocess, sys
if sys.argv[1:3] != ["image", "inspect"]:
    sys.exit(subprocess.run(["{docker}", *sys.argv[1:]]).returncode)
found = json.loads(subprocess.run(["{docker}", *sys.argv[1:]], capture_output=True).stdout)
print(json.dumps([found[0] | json.loads('{changes}')]))
"""


@pytest.fixture(scope="session")
def reference(image) -> Iterator[str]:
    """An image that keeps the whole contract; nothing of the project's image is used but Python."""
    tag = f"container-suite/reference:{os.getpid()}"
    folder = str(HERE / "reference")
    docker("build", "--quiet", "--force-rm", "--build-arg", f"BASE={image}", "-t", tag, folder)
    yield tag
    docker("image", "rm", "--force", "--no-prune", tag)


@pytest.fixture(scope="session")
def broken(reference, tmp_path_factory) -> Iterator[str]:
    """The same with files as they come from careless machines."""
    tag = f"container-suite/broken:{os.getpid()}"
    folder = tmp_path_factory.mktemp("broken")
    (folder / "Dockerfile").write_text(BREAK.format(image=reference))
    docker("build", "--quiet", "--force-rm", "--tag", tag, str(folder))
    yield tag
    docker("image", "rm", "--force", "--no-prune", tag)


@pytest.fixture(scope="session")
def training(tmp_path_factory) -> Path:
    """Two files for a job, and how long it works on them."""
    folder = tmp_path_factory.mktemp("conformance")
    (folder / "input/config").mkdir(parents=True)
    settings = json.dumps({"seconds": "0.6"})
    (folder / "input/config/hyperparameters.json").write_text(settings)
    (folder / "input/data/training").mkdir(parents=True)
    for number in (1, 2):
        (folder / f"input/data/training/part-{number}.csv").write_text(ROW * 3)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """What such a job leaves."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.json").write_text('{"mean": 3.0}')
    return folder


def given(image: str, training: Path | None, model: Path | None, fault: str = "") -> Given:
    """What the kit is told, with limits that do not keep the tests waiting."""
    return Given(
        image,
        Sample((ROW * 4).encode(), "text/csv"),
        TrainingData.read(training) if training else None,
        model,
        {"FAULT": fault} if fault else {},
        LIMITS,
    )


@pytest.fixture(scope="session")
def found(request, reference, training, model) -> Iterator[dict[tuple[str, str], Future[Verdict]]]:
    """What comes of each check with its fault, side by side."""

    def look(name: str, fault: str) -> Verdict:
        (check,) = chosen([name])
        trains = check.area in ("training", "training inputs", "several hosts")
        told = given(reference, training if trains else None, None if trains else model, fault)
        (verdict,) = judge(told, [check], quiet=True)
        return verdict

    wanted = [
        (item.callspec.params["name"], item.callspec.params["fault"])
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_each_check_finds_its_fault"
    ]
    with ThreadPoolExecutor(4) as pool:
        yield {(name, fault): pool.submit(look, name, fault) for name, fault in wanted}


@pytest.mark.parametrize(("name", "fault"), [*FAULTS.items(), *MORE])
def test_each_check_finds_its_fault(found, name, fault):
    """An image with one fault fails the check for it, and the evidence is the image's."""
    verdict = found[name, fault].result()
    assert verdict.outcome == Outcome.FAIL, verdict.evidence
    assert "the check itself broke" not in verdict.evidence


@pytest.mark.parametrize("name", BROKEN)
def test_files_as_they_come_from_careless_machines_are_found(broken, training, model, name):
    """Missing run bits, Windows line endings, closed files and reserved folders each fail."""
    told = given(broken, training, model)
    (verdict,) = judge(told, chosen([name]), quiet=True)
    assert verdict.outcome == Outcome.FAIL, verdict.evidence
    assert "the check itself broke" not in verdict.evidence


@pytest.mark.parametrize("name", INSPECTED)
def test_what_the_engine_says_of_an_image_is_judged(reference, name, tmp_path, monkeypatch):
    """Another architecture, too large an image and an OCI index fail."""
    shim = tmp_path / "docker"
    changes = json.dumps(INSPECTED[name])
    shim.write_text(SHIM.format(docker=shutil.which("docker"), changes=changes))
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (verdict,) = judge(given(reference, None, None), chosen([name]), quiet=True)
    assert verdict.outcome == Outcome.FAIL, verdict.evidence


def test_no_check_is_without_a_fault():
    """A check that nothing can fail is a defect."""
    assert {check.name for check in CHECKS} == {*FAULTS, *BROKEN, *INSPECTED}


@pytest.mark.timeout(1800)  # about a hundred containers, where others run beside it
def test_an_image_that_keeps_the_contract_passes_all(reference, training):
    """Of the reference image, nothing fails, and nothing is left out."""
    verdicts = judge(given(reference, training, None), CHECKS, quiet=True)
    others = {v.check.name: v.evidence for v in verdicts if v.outcome != Outcome.PASS}
    assert others == {}
