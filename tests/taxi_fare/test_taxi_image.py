"""
The sample's image: what it answers to its payloads, how big it is.
"""

import json
import re

import pytest

import containers
from containers import container, docker, server
from fifos import feed, wrapped
from harness import wait_until
from jobs import files
from project import SAMPLE, TOP, quick

pytestmark = pytest.mark.docker

OWN_LAYERS_LIMIT = 600_000_000  # bytes above the base, uncompressed


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        ("payload.csv", "text/csv"),
        ("payload.json", "application/json"),
        ("payload.jsonl", "application/jsonlines"),
    ],
)
def test_it_predicts_each_payload_from_outside(image, trained, file, content_type):
    """What is published on the port answers each kind of payload in kind."""
    payload = (TOP / "local_test" / file).read_bytes()
    with server(image, trained.model) as started:
        answer = started.predict(payload, content_type)
        assert answer.status == 200
        assert answer.headers.get_content_type() == content_type


def test_fares_are_plausible(image, trained):
    """Each trip of the payload gets a fare in dollars that somebody might have paid."""
    payload = (TOP / "local_test/payload.csv").read_bytes()
    with server(image, trained.model) as started:
        fares = [float(line) for line in started.predict(payload).body.split()]
    assert len(fares) == len(payload.splitlines()) - 1
    assert all(2.5 <= fare <= 250 for fare in fares)


def test_own_layers_are_small(image):
    """The image adds at most 600 MB to its base."""
    sizes = [
        int(docker("image", "inspect", "--format", "{{.Size}}", each))
        for each in (image, containers.base_image())
    ]
    assert sizes[0] - sizes[1] <= OWN_LAYERS_LIMIT


def configure(job, **keys):
    """Say of the channel training what the platform would."""
    config = job.root / "input/config/inputdataconfig.json"
    config.write_text(json.dumps({"training": keys}))


def test_a_spot_interruption_costs_no_rounds(image, tmp_path):
    """
    1. a container trains on a read-only FastFile mount and keeps checkpoints 2. its machine goes
    3. another starts with the checkpoints.

    Result: it goes on from the newest, and leaves a whole model.
    """
    job = containers.Job(tmp_path / "ml", SAMPLE, rounds=40)
    configure(job, TrainingInputMode="FastFile", ContentType="text/csv")
    checkpoints = job.root / "checkpoints"
    checkpoints.mkdir()
    checkpoints.chmod(0o777)
    config = {"S3Uri": "s3://bucket/checkpoints", "LocalPath": "/opt/ml/checkpoints"}
    (job.root / "input/config/checkpointconfig.json").write_text(json.dumps(config))
    data = f"type=bind,source={job.root}/input/data,target=/opt/ml/input/data,readonly"
    options = ("--mount", data, "--env", "CHECKPOINT_SECONDS=0")
    tree = ("--mount", f"type=bind,source={job.root},target=/opt/ml")
    with container(image, "train", options=(*tree, *options)) as started:
        kept = wait_until(
            lambda: sorted(checkpoints.glob("algo-1-*"))[1:], timeout=300, what="two checkpoints"
        )
        docker("kill", started.identity)
    assert kept
    assert job.files() == []
    assert job.train(image, "train", options=options) == 0, job.log
    assert re.search(r"continuing from the checkpoint algo-1-\d+$", job.log, re.M)
    assert json.loads((job.model / "metadata.json").read_text())["partial"] is False


def test_pipe_mode_in_a_container(image, tmp_path):
    """Each file in a RecordIO record, gzipped or not: all rows are learnt from."""
    job = containers.Job(tmp_path / "ml", None, **quick())
    configure(job, TrainingInputMode="Pipe", RecordWrapperType="RecordIO")
    records = [(SAMPLE / name).read_bytes() for name in files(SAMPLE)]
    feed(job.root / "input/data", "training", wrapped(*records))
    assert job.train(image, "train") == 0, job.log
    metadata = json.loads((job.model / "metadata.json").read_text())
    assert metadata["cleaning"]["rows_read"] == 24_000
    assert len(metadata["data_sha256"]) == 64


COMPONENT = ("--memory", "128m", "--memory-swap", "128m", "--cpus", "0.25")


def test_an_inference_component_is_enough(image, trained):
    """A quarter of a processor and 128 MB serve rows, and a body of some thousand of them."""
    with server(image, trained.model, COMPONENT) as started:
        body = (TOP / "local_test/payload.csv").read_bytes()
        assert started.predict(body).status == 200
        header, row = body.split(b"\n")[:2]
        answer = started.predict(header + b"\n" + (row + b"\n") * 10_000)
        assert answer.body.count(b"\n") == 10_000
        assert started.stop() == 0
