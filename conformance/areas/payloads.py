"""
Requests: sizes.
"""

from typing import TYPE_CHECKING

from conformance.client import Answer
from conformance.endpoint import Endpoint
from conformance.load import side_by_side
from conformance.sample import count_rows
from conformance.verdicts import Area, Failed

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("sizes")

MIB = 2**20
JOINS = "Batch jobs that join or assemble lines, and callers that match rows, get wrong results."
ONE_FOR_ONE = "Answer one line, or one element, for each row, with no header and no blank lines."


def _rows(endpoint: Endpoint, lab: "Lab", rows: int, body: bytes, seconds: float) -> Answer:
    """
    Send some rows; raises Failed unless as many come back.
    """
    answer = endpoint.predict(body, lab.sample.content_type, timeout=seconds)
    if answer.status != 200:
        raise Failed(f"{rows:,} rows ({len(body):,} bytes): {answer}")
    found = count_rows(answer)
    if found != rows:
        raise Failed(f"{rows:,} rows sent, {found:,} came back: {answer}")
    return answer


@area.check(
    "rows-few",
    "1, 2 and 1,000 rows in one request give as many rows.",
    consequence=JOINS,
    remedy=ONE_FOR_ONE,
)
def rows_few(lab: "Lab") -> str:
    for rows in (1, 2, 1000):
        body = lab.sample.of(rows)
        _rows(lab.servers.shared, lab, rows, body, lab.limits.answer)
    return "1, 2 and 1,000 rows came back"


@area.check(
    "rows-many",
    "100,000 rows in one request give as many rows.",
    consequence=JOINS,
    remedy=ONE_FOR_ONE,
)
def rows_many(lab: "Lab") -> str:
    body = lab.sample.of(100_000)
    answer = _rows(lab.servers.shared, lab, 100_000, body, lab.limits.answer)
    return f"{len(body) / 1e6:.1f} MB answered in {answer.seconds:.1f} s"


def _payload(endpoint: Endpoint, lab: "Lab", megabytes: int, seconds: float) -> str:
    body, rows = lab.sample.of_bytes(megabytes * MIB)
    answer = _rows(endpoint, lab, rows, body, seconds)
    return f"{rows:,} rows in {len(body):,} bytes answered in {answer.seconds:.1f} s"


@area.check(
    "payload-6-mb",
    "A request of 6 MB is answered within 60 s.",
    consequence="What every endpoint and batch job may send is refused.",
    remedy="Raise the limits of each layer: proxy (client_max_body_size), server, time limits.",
)
def payload_6(lab: "Lab") -> str:
    lab.sample.of(1)  # before a server is started for nothing
    return _payload(lab.servers.shared, lab, 6, lab.limits.answer)


@area.check(
    "payload-25-mb",
    "A request of 25 MB is answered within 60 s.",
    consequence="Real-time requests above the server's own limit are refused.",
    remedy="Raise the limits of each layer: proxy (client_max_body_size), server, time limits.",
)
def payload_25(lab: "Lab") -> str:
    lab.sample.of(1)
    return _payload(lab.servers.shared, lab, 25, lab.limits.answer)


@area.check(
    "payload-100-mb",
    "In a batch job a request of 100 MB is answered, with as many rows as it has.",
    consequence="Batch jobs with MaxPayloadInMB above the server's own limit fail.",
    remedy="Raise the limits of each layer where SAGEMAKER_BATCH is true.",
)
def payload_100(lab: "Lab") -> str:
    body, rows = lab.sample.of_bytes(100 * MIB)
    variables = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "100",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
    }
    with lab.servers.healthy(variables=variables) as endpoint:
        try:
            answer = _rows(endpoint, lab, rows, body, lab.limits.batch_answer)
        except Failed as error:
            raise Failed(f"{error}; {endpoint.ended()}") from None
    return f"{rows:,} rows in {len(body):,} bytes answered in {answer.seconds:.1f} s"


@area.check(
    "concurrency",
    "32 requests at the same time are each answered with their own rows.",
    consequence="Callers get errors, or one another's predictions, as soon as there are several.",
    remedy="Keep what belongs to a request out of globals; let connections wait, do not refuse.",
)
def concurrency(lab: "Lab") -> str:
    sizes = [1 + number % 8 for number in range(32)]
    bodies = [lab.sample.of(size) for size in sizes]
    endpoint = lab.servers.shared

    def call(body: bytes) -> Answer:
        return endpoint.predict(body, lab.sample.content_type)

    answers = side_by_side([lambda body=body: call(body) for body in bodies])  # type: ignore[misc]
    for size, answer in zip(sizes, answers, strict=True):
        if isinstance(answer, Failed):
            raise answer
        if answer.status != 200 or count_rows(answer) != size:
            raise Failed(f"{size} rows beside 31 other requests: {answer}")
    slowest = max(answer.seconds for answer in answers if isinstance(answer, Answer))
    return f"all right, the slowest in {slowest * 1000:.0f} ms"
