"""
Refusals, in AWS's own codes and words.
"""

import logging

log = logging.getLogger("local_cloud")


class AwsError(Exception):
    """
    An answer that refuses; ``more`` has further members of the error's shape.
    """

    def __init__(self, code: str, message: str, status: int = 400, **more: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.more = more


def invalid(message: str) -> AwsError:
    """
    Return what SageMaker answers to most of what it refuses.
    """
    return AwsError("ValidationException", message)


def unknown(service: str, action: str) -> AwsError:
    """
    Return the refusal of a call that is not imitated; 400, because clients repeat a 5xx.
    """
    return AwsError(
        "UnknownOperationException", f"the local cloud does not know {service}:{action}"
    )


def reason(error: Exception) -> str:
    """
    Return the FailureReason of an exception; a defect of the cloud itself goes to its log.
    """
    if isinstance(error, Failed):
        return str(error)
    log.error("a defect of the local cloud", exc_info=error)
    return f"InternalServerError: {type(error).__name__}: {error}"


class Failed(Exception):
    """
    Something that was started did not work; the text becomes its FailureReason.
    """
