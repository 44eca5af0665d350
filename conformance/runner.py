"""
Makes the checks: those that measure time one after another, the others side by side.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from conformance.engine import DockerError
from conformance.lab import Lab
from conformance.verdicts import Check, Failed, NotOffered, NotTried, Outcome, Verdict

BESIDE = 3  # checks at the same time


def make(check: Check, lab: Lab) -> Verdict:
    """
    Make one check; a defect of the kit itself counts as a failure, so that nobody overlooks it.
    """
    started = time.monotonic()
    try:
        outcome, evidence = Outcome.PASS, check.run(lab)
    except Failed as error:
        outcome, evidence = Outcome.FAIL, str(error)
    except NotOffered as error:
        outcome, evidence = Outcome.NOT_OFFERED, str(error)
    except NotTried as error:
        outcome, evidence = Outcome.NOT_TRIED, str(error)
    except DockerError as error:
        # Not the image's fault, and never as good as a pass.
        outcome, evidence = Outcome.NOT_TRIED, f"docker: {error}"
    except Exception as error:  # noqa: BLE001 - told as what it is
        outcome, evidence = Outcome.FAIL, f"the check itself broke: {error!r}"
    return Verdict(check, outcome, evidence, time.monotonic() - started)


def run(checks: Iterable[Check], lab: Lab, tell: Callable[[Verdict], None]) -> list[Verdict]:
    """
    Make checks and return what came of them in their order; ``tell`` hears of each when it is made.
    """
    checks = list(checks)
    lock = Lock()
    verdicts: dict[str, Verdict] = {}

    def one(check: Check) -> None:
        verdict = make(check, lab)
        with lock:
            verdicts[check.name] = verdict
            tell(verdict)

    for check in checks:
        if check.alone:
            one(check)
    with ThreadPoolExecutor(BESIDE) as pool:
        list(pool.map(one, (check for check in checks if not check.alone)))
    return [verdicts[check.name] for check in checks]
