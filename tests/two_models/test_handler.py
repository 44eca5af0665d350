"""The function behind the API: both endpoints are asked at once, within a time budget."""

import base64
import importlib.util
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from local_cloud.server import REGION, local_cloud

from clouds import OWN_KEY, Rehearsal
from project import TOP

pytestmark = pytest.mark.docker

MODELS = {
    "good": {},
    "also-good": {},
    "slow": {"SLEEP": "30"},
    "failing": {"ANSWER": "500"},
    "refusing": {"ANSWER": "422"},
}
AMPLE_MS, SHORT_MS = 20_000, 2_000
LEFT_MS = 29_000


@pytest.fixture(scope="module")
def cloud(stand_in: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A cloud with endpoints that answer, fail, refuse, and are slow."""
    with local_cloud(tmp_path_factory.mktemp("cloud"), clock=600, startup_s=30) as started:
        cloud = Rehearsal(started)
        cloud.bucket()
        for name, environment in MODELS.items():
            cloud.model(name, stand_in, **environment)
            cloud.config(name, {"ModelName": name})
            cloud.client().create_endpoint(EndpointName=name, EndpointConfigName=name)
        for name in MODELS:
            assert cloud.settled(name)["EndpointStatus"] == "InService"
        yield cloud


@dataclass
class Context:
    """What Lambda says of itself."""

    left_ms: int = LEFT_MS

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until Lambda ends the function."""
        return self.left_ms


@dataclass
class Gateway:
    """API Gateway: makes the event of a request and reads the function's answer."""

    function: ModuleType
    context: Context = field(default_factory=Context)

    def post(self, body: bytes, content_type: str = "text/csv", **headers: str) -> tuple[int, Any]:
        """Return status and body; bodies that are not text go in base64, as the API is told."""
        binary = not content_type.startswith(("text/", "application/json"))
        event = {
            "resource": "/predictions",
            "path": "/predictions",
            "httpMethod": "POST",
            "headers": {"Content-Type": content_type, "Host": "api.example.com", **headers},
            "multiValueHeaders": {"Content-Type": [content_type], "Host": ["api.example.com"]},
            "queryStringParameters": None,
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "stage": "live",
                "httpMethod": "POST",
                "identity": {"sourceIp": "192.0.2.1"},
            },
            "body": base64.b64encode(body).decode() if binary else body.decode(),
            "isBase64Encoded": binary,
        }
        answer = self.function.handler(json.loads(json.dumps(event)), self.context)
        assert answer["headers"]["Content-Type"] == "application/json"
        assert answer["headers"]["X-Request-Id"] == event["requestContext"]["requestId"]
        return answer["statusCode"], json.loads(answer["body"])


Start = Callable[..., Gateway]


@pytest.fixture
def start(cloud: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts the function as Lambda does: with its environment, importing the file."""

    def started(first: str, second: str, budget_ms: int = AMPLE_MS) -> Gateway:
        variables = {
            "FIRST_ENDPOINT": first,
            "SECOND_ENDPOINT": second,
            "BUDGET_MS": str(budget_ms),
            "AWS_ENDPOINT_URL": cloud.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": OWN_KEY,
            "AWS_SECRET_ACCESS_KEY": OWN_KEY,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        specification = importlib.util.spec_from_file_location(
            "two_models_handler", TOP / "infra/two_models/function/handler.py"
        )
        assert specification
        assert specification.loader
        function = importlib.util.module_from_spec(specification)
        level = logging.getLogger().level
        specification.loader.exec_module(function)
        logging.getLogger().setLevel(level)
        return Gateway(function)

    return started


def test_both_answers_come_as_one(start: Start) -> None:
    """Both endpoints get the same question, and each answer stands under its name."""
    status, said = start("good", "also-good").post(b"1,2")
    assert status == 200
    assert said == {
        "complete": True,
        "budget_ms": AMPLE_MS,
        "answers": {
            "first": {"status": "answered", "content_type": "text/csv", "body": "good:1,2"},
            "second": {"status": "answered", "content_type": "text/csv", "body": "also-good:1,2"},
        },
    }


def test_the_question_arrives_as_it_was_sent(start: Start) -> None:
    """Content types, Accept and the request's id reach both models; JSON is not text in JSON."""
    status, said = start("good", "also-good").post(b"what?", accept="application/json")
    assert status == 200
    seen = [each["body"]["headers"] for each in said["answers"].values()]
    for headers in seen:
        assert headers["Content-Type"] == "text/csv"
        assert headers["Accept"] == "application/json"
    (identity,) = {headers["X-Amzn-Sagemaker-Inference-Id"] for headers in seen}
    assert uuid.UUID(identity)


def test_a_binary_question_arrives_whole(start: Start) -> None:
    """API Gateway's base64 is taken off; a binary answer comes in base64."""
    status, said = start("good", "also-good").post(b"\x93NUMPY\xff", "application/x-npy")
    assert status == 200
    body = base64.b64decode(said["answers"]["first"]["body"])
    assert body == b"good:\x93NUMPY\xff"


def test_they_are_asked_at_the_same_time(start: Start, cloud: Rehearsal) -> None:
    """The second endpoint has answered while the first still works."""
    gateway = start("slow", "good", SHORT_MS)
    status, said = gateway.post(b"1")
    assert status == 207
    assert said["answers"]["first"]["status"] == "late"
    assert said["answers"]["second"]["body"] == "good:1"


@pytest.mark.parametrize(
    ("other", "answer"),
    [
        ("failing", {"status": "failed", "message": "ModelError"}),
        ("refusing", {"status": "refused", "code": 422, "message": "refusing:1"}),
        ("absent", {"status": "failed", "message": "ValidationError"}),
    ],
)
def test_one_that_fails_leaves_the_others_answer(start: Start, other: str, answer: Any) -> None:
    """The status says that it is a part, the body which part and why; nothing of the account."""
    status, said = start("good", other).post(b"1")
    assert status == 207
    assert said["complete"] is False
    assert said["answers"]["first"]["body"] == "good:1"
    assert said["answers"]["second"] == answer


def test_a_slow_one_holds_up_no_request(start: Start) -> None:
    """
    1. one endpoint takes 30 s, the budget is 2 s 2. eight requests come, four at a time.
    Result: each has the quick one's answer, though the slow one is still busy with all before.
    """
    gateway = start("good", "slow", SHORT_MS)
    gateway.post(b"0")  # as any first request, it connects
    answers: list[tuple[int, Any]] = []

    def caller() -> None:
        for _ in range(2):
            answers.append(gateway.post(b"1"))

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert [status for status, _ in answers] == [207] * 8
    for _, said in answers:
        assert said["answers"]["first"]["body"] == "good:1"
        assert said["answers"]["second"] == {"status": "late"}


def test_lambdas_own_limit_shortens_the_budget(start: Start) -> None:
    """With 2.5 s left the answer is given before Lambda ends the function, whatever the budget."""
    gateway = start("good", "slow", AMPLE_MS)
    gateway.context.left_ms = 2_500
    status, said = gateway.post(b"1")
    assert status == 207
    assert said["budget_ms"] == 2_000
    assert said["answers"]["second"] == {"status": "late"}


@pytest.mark.parametrize(
    ("first", "second", "budget_ms", "expected"),
    [
        ("failing", "absent", AMPLE_MS, 502),
        ("failing", "slow", SHORT_MS, 502),
        ("slow", "slow", SHORT_MS, 504),
        ("refusing", "refusing", AMPLE_MS, 422),
    ],
)
def test_no_answer_at_all_is_an_error(
    start: Start, first: str, second: str, budget_ms: int, expected: int
) -> None:
    """Refused by both is the caller's fault, late is 504, anything else 502."""
    status, said = start(first, second, budget_ms).post(b"1")
    assert status == expected
    assert said["complete"] is False
    assert not any(each["status"] == "answered" for each in said["answers"].values())


def test_the_log_has_one_line_for_each_request(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """With the request's id, the status, the time and what each endpoint did."""
    with caplog.at_level(logging.INFO):
        start("good", "failing").post(b"1")
    (line,) = [json.loads(r.message) for r in caplog.records if r.message.startswith("{")]
    assert set(line) == {"request", "status", "ms", "first", "second"}
    assert (line["status"], line["first"], line["second"]) == (207, "answered", "failed")
    assert "failing: An error occurred (ModelError)" in caplog.text
