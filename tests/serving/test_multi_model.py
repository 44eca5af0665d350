"""
Multi-model endpoints: the calls, one after the other. Each test that starts serve for itself states
its scenario.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from guests import (
    ALGORITHM,
    JSON,
    invoke,
    listed,
    load,
    make,
    registry_of,
    start,
    unload,
    workers_of,
)
from harness import ServeProcess, wait_until
from http_assertions import assert_error
from project import assemble
from sagemaker_runtime.serving.models import PAGE, Entry, Registry
from served import NGINX

NAMES = ("plain", "a/b", "..", "a b+c", "%2F", "модель 7?#", "x/invoke", "e" * 300, "a//b&c=d")
ALLOWED = ("payload_too_large", "malformed_body", "bad_request", "unsupported_media_type",
           "internal_error", "model_already_loaded")  # fmt: skip


@pytest.fixture(scope="module")
def program(shared: Path) -> Path:
    return assemble(shared / "several", ALGORITHM)


@pytest.fixture(scope="module")
def endpoint(program: Path, shared: Path) -> Iterator[ServeProcess]:
    """
    A multi-model endpoint with two workers, for tests that leave nothing loaded.
    """
    limit = {"MODEL_SERVER_MAX_PAYLOAD_MB": "1"}
    with start(program, shared / "model", allowed=ALLOWED, **limit) as serve:
        serve.wait_for_ping()
        yield serve


@NGINX
def test_the_five_calls(nginx: bool, program: Path, model: Path) -> None:
    """
    1. an endpoint starts without a model 2. models are loaded, listed, described, asked, unloaded
    Result: each call answers as SageMaker expects, for names with every kind of character.
    """
    with start(program, model, nginx=nginx, allowed=["model_already_loaded"]) as serve:
        serve.wait_for_ping()
        assert serve.call("/models").json == {"models": []}
        names = NAMES if nginx else NAMES[:3]
        for number, name in enumerate(names):
            assert_error(invoke(serve, name), 404, "model_not_loaded")
            assert_error(unload(serve, name), 404, "model_not_loaded")
            folder = make(model / str(number), value=number)
            answer = load(serve, name, folder)
            assert answer.status == 200, answer.body
            assert answer.json == {"modelName": name, "modelUrl": str(folder)}
            assert_error(load(serve, name, folder), 409, "model_already_loaded")
        assert sorted(each["modelName"] for each in listed(serve)) == sorted(names)
        for number, name in enumerate(names):
            assert invoke(serve, name).json["value"] == number
        assert unload(serve, NAMES[0]).status == 200
        assert_error(invoke(serve, NAMES[0]), 404, "model_not_loaded")
        assert invoke(serve, NAMES[1]).json["value"] == 1


@pytest.mark.needs("nginx")
def test_a_model_lives_in_one_worker(endpoint: ServeProcess, model: Path) -> None:
    """Models are spread over the workers; each answers from one, however its name is spelled."""
    names = [f"model {number}" for number in range(6)]
    for number, name in enumerate(names):
        assert load(endpoint, name, make(model / str(number))).status == 200
    found = {name: {invoke(endpoint, name).json["worker"] for _ in range(3)} for name in names}
    assert all(len(workers) == 1 for workers in found.values())
    assert set().union(*found.values()) == set(workers_of(endpoint))
    assert {int(path.suffix[1:]) for path in model.glob("0/loaded.*")} >= found[names[0]]
    path = "/models/%6d%6Fdel%200/invoke?some=query"
    assert endpoint.call(path, "1", headers=JSON).json["worker"] in found[names[0]]
    assert endpoint.call("/models/%6dodel%200").json["modelName"] == names[0]
    assert endpoint.call("/models/%6dodel%200", method="DELETE").status == 200
    assert [unload(endpoint, name).status for name in names] == [404, 200, 200, 200, 200, 200]


@pytest.mark.needs("nginx")
def test_an_invocation_is_answered_as_of_one_model(endpoint: ServeProcess, model: Path) -> None:
    """Headers, negotiation, compression, errors and the log line are those of /invocations."""
    assert load(endpoint, "one", make(model / "one", value=7)).status == 200
    path = "/models/one/invoke"
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Amzn-SageMaker-Target-Model": "one.tar.gz",
        "X-Amzn-SageMaker-Inference-Id": "request-7",
        "X-Amzn-SageMaker-Custom-Attributes": "c=1",
    }
    answer = endpoint.call(path, "1", headers=headers)
    assert (answer.status, answer.json["value"]) == (200, 7)
    assert answer.headers["X-Request-Id"] == "request-7"
    assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == "c=1"
    [line] = wait_until(lambda: endpoint.log("request-7"), what="the request has its line")
    assert json.loads(line)["model"] == "one"
    assert_error(endpoint.call(path, "{", headers=JSON), 400, "malformed_body")
    csv = endpoint.call(path, "1", headers={"Content-Type": "text/csv"})
    assert_error(csv, 415, "unsupported_media_type")
    error = assert_error(endpoint.call(path, '"raise"', headers=JSON), 500, "internal_error")
    [line] = wait_until(lambda: endpoint.log(error["request_id"]), what="the error has its line")
    assert "RuntimeError: told to" in line
    assert_error(endpoint.call("/models/one/invoke"), 405, "method_not_allowed")
    large = endpoint.call(path, "1" * 2**21, headers=JSON)
    assert_error(large, 413, "payload_too_large", contains="MODEL_SERVER_MAX_PAYLOAD_MB")
    assert unload(endpoint, "one").status == 200


@pytest.mark.needs("nginx")
def test_the_metrics_have_the_time_of_each_load(program: Path, model: Path) -> None:
    """Loads of all workers are in one histogram, and no single model's time is told."""
    count, total = (f"model_server_multi_model_load_seconds_{each}" for each in ("count", "sum"))
    # A server of its own: counts of earlier loads may come up to a second later.
    with start(program, model, allowed=["model_already_loaded"]) as serve:
        serve.wait_for_ping()

        def figures() -> dict[str, float]:
            lines = serve.call("/metrics").body.decode().splitlines()
            found = [line.rpartition(" ") for line in lines if "model_load_seconds" in line]
            return {name: float(value) for name, _, value in found if not name.startswith("#")}

        for number in range(4):
            assert load(serve, f"timed {number}", make(model / str(number))).status == 200
        assert load(serve, "timed 0", model / "0").status == 409
        wait_until(lambda: figures()[count] == 4, what="each load is counted")
        assert figures()[total] > 0
        assert "model_server_model_load_seconds" not in figures()


@pytest.mark.needs("nginx")
def test_what_names_no_model_is_refused(endpoint: ServeProcess, model: Path) -> None:
    """/invocations says how to name a model; a request to load says what is wrong with it."""
    answer = endpoint.call("/invocations", "1", headers=JSON)
    assert_error(answer, 404, "no_model_named", contains="POST /models/NAME/invoke")
    deep = "[" * 50_000
    for body in ("", "[]", '{"model_name": "a"}', '{"model_name": 1, "url": "/"}', deep):
        answer = endpoint.call("/models", body, headers=JSON, method="POST")
        assert_error(answer, 400, "malformed_body", contains="model_name")
    for url in (str(model / "nowhere"), "models", "s3://bucket/key"):
        assert_error(load(endpoint, "a", url), 400, "bad_request", contains="no folder is")
    assert load(endpoint, "", model).status == load(endpoint, "a" * 1025, model).status == 400
    assert listed(endpoint) == []


@pytest.mark.needs("nginx")
def test_5000_models_are_listed_by_pages(endpoint: ServeProcess) -> None:
    """Each model comes once, page by page, whichever worker is asked."""
    worker = workers_of(endpoint)[0]
    registry = Registry(registry_of(endpoint))
    names = [f"model-{number}" for number in range(5000)]
    for name in names:
        registry.write(Entry(name, f"/models/{name}", 1, worker, loaded=True))
    shown = [each["modelName"] for each in listed(endpoint)]
    assert (len(shown), set(shown) - set(names)) == (5000, set())
    assert len(set(shown)) == 5000
    assert len(endpoint.call("/models").json["models"]) == PAGE
    for name in names:
        registry.remove(name)
    assert endpoint.call("/models").json == {"models": []}
