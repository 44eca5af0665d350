"""
The sample's image: what it answers to its payloads, how big it is.
"""

import pytest

import containers
from containers import docker, server
from project import TOP

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
