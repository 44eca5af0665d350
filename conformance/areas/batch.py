"""
Hosting: what the platform asks beside pings and predictions.
"""

import re
from typing import TYPE_CHECKING

from conformance.client import Answer, ask
from conformance.verdicts import Area, Failed, NotOffered

if TYPE_CHECKING:
    from conformance.lab import Lab

area = Area("batch and metrics")

ABSENT = (404, 405, 501)
TOGETHER_MB = 100
SAMPLE = re.compile(
    r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^{}]*\})?\s+[-+]?([0-9.]+([eE][-+]?[0-9]+)?|Inf|NaN)(\s+\d+)?"
)


def _offered(lab: "Lab", path: str) -> Answer:
    """
    Return the answer to GET; raises NotOffered where there is no such route.
    """
    answer = ask(lab.servers.shared.address, path, timeout=lab.limits.answer)
    if answer.status in ABSENT:
        raise NotOffered(f"GET {path} is answered with {answer.status}")
    if answer.status != 200:
        raise Failed(f"GET {path} is answered with {answer}")
    return answer


@area.check(
    "execution-parameters",
    "What /execution-parameters advises is complete and within the platform's limits.",
    consequence="Batch jobs without settings are refused, or run one record at a time.",
    remedy="Answer MaxConcurrentTransforms, BatchStrategy and MaxPayloadInMB; the product of the "
    "numbers may be 100 at most.",
)
def execution_parameters(lab: "Lab") -> str:
    answer = _offered(lab, "/execution-parameters")
    found = answer.json()
    if not isinstance(found, dict):
        raise Failed(str(answer))
    concurrent, megabytes = found.get("MaxConcurrentTransforms"), found.get("MaxPayloadInMB")
    if not (isinstance(concurrent, int) and isinstance(megabytes, int)):
        raise Failed(f"MaxConcurrentTransforms and MaxPayloadInMB must be whole numbers: {answer}")
    if found.get("BatchStrategy") not in ("MULTI_RECORD", "SINGLE_RECORD"):
        raise Failed(f"BatchStrategy must be MULTI_RECORD or SINGLE_RECORD: {answer}")
    if concurrent < 1 or megabytes < 0 or concurrent * megabytes > TOGETHER_MB:
        raise Failed(f"{concurrent} times {megabytes} MB is not from 1 to {TOGETHER_MB} MB")
    return f"{concurrent} times {megabytes} MB, {found['BatchStrategy']}"


@area.check(
    "metrics",
    "What /metrics answers can be read by Prometheus.",
    consequence="SageMaker's detailed observability scrapes it every 60 s and gets nothing.",
    remedy="Answer Prometheus' text format by its client library.",
)
def metrics(lab: "Lab") -> str:
    answer = _offered(lab, "/metrics")
    if answer.content_type not in ("text/plain", "application/openmetrics-text"):
        raise Failed(f"its Content-Type is not text/plain: {answer}")
    lines = answer.body.decode("utf-8", "replace").splitlines()
    samples = [line for line in lines if line.strip() and not line.startswith("#")]
    wrong = [line for line in samples if not SAMPLE.fullmatch(line.strip())]
    if wrong or not samples:
        raise Failed(f"not Prometheus' text format: {(wrong or ['no sample'])[0][:150]!r}")
    return f"{len(samples)} samples"
