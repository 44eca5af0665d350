"""
Schemathesis asks a running server what its OpenAPI description says can be asked.
"""

from collections.abc import Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def hold(document: Mapping[str, Any], port: int, requests: int = 40) -> set[int]:
    """
    Send requests, good and bad ones, the same each time, and return the statuses of the answers;
    raises what Schemathesis finds wrong with one.
    """
    statuses: set[int] = set()
    for found in schemathesis.openapi.from_dict(dict(document)).get_all_operations():
        operation = found.ok()
        # Schemathesis can make nothing bad of an operation that takes nothing.
        modes = list(GenerationMode) if operation.body else [GenerationMode.POSITIVE]
        for mode in modes:

            @settings(
                max_examples=requests if operation.body else 1,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case) -> None:
                answer = case.call_and_validate(
                    base_url=f"http://127.0.0.1:{port}", checks=CHECKS, timeout=30
                )
                statuses.add(answer.status_code)

            ask()
    return statuses
