"""
What a check is, what may come of it, and the list of all checks.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.lab import Lab


class Outcome(StrEnum):
    """
    What may come of a check.
    """

    PASS = "PASS"  # noqa: S105 - not a password
    FAIL = "FAIL"
    NOT_OFFERED = "NOT OFFERED"  # an optional capability, neither labelled nor present
    NOT_TRIED = "NOT TRIED"  # what the check needs is not there: never as good as PASS


class Failed(Exception):
    """
    The image does not do what the check says; the message is the evidence.
    """


class NotOffered(Exception):
    """
    The image does not claim the capability and does not have it; the message says how that shows.
    """


class NotTried(Exception):
    """
    The check could not be made; the message says why and what to do.
    """


@dataclass(frozen=True)
class Check:
    """
    One thing that holds of an image that SageMaker can run.
    """

    name: str
    area: str
    holds: str  # one sentence
    consequence: str  # on SageMaker, where it does not hold
    remedy: str
    alone: bool  # it measures time: nothing else runs beside it
    run: Callable[["Lab"], str]


@dataclass(frozen=True)
class Verdict:
    """
    What came of one check.
    """

    check: Check
    outcome: Outcome
    evidence: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """
        Return what a machine is told of it.
        """
        check = {key: value for key, value in asdict(self.check).items() if isinstance(value, str)}
        return check | {
            "outcome": str(self.outcome),
            "evidence": self.evidence,
            "seconds": round(self.seconds, 3),
        }


class Area:
    """
    The checks of one file; a check returns its evidence or raises Failed, NotOffered or NotTried.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.checks: list[Check] = []

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def check(
        self, name: str, holds: str, *, consequence: str, remedy: str, alone: bool = False
    ) -> Callable[[Callable[["Lab"], str]], Callable[["Lab"], str]]:
        """
        Make a check of the function below.
        """

        def register(run: Callable[["Lab"], str]) -> Callable[["Lab"], str]:
            self.checks.append(Check(name, self.name, holds, consequence, remedy, alone, run))
            return run

        return register
