"""
Errors that a user can cause or must hear of, each with its exit code or HTTP status.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """
    How ``train`` and ``serve`` end; SageMaker takes anything but 0 as a failure.
    """

    OK = 0
    UNEXPECTED = 1  # a defect: the log holds the traceback
    BAD_HYPERPARAMETER = 2
    BAD_DATA = 3
    BAD_ALGORITHM = 4  # the algorithm's package lacks a part or returns what cannot be written
    BAD_SETTING = 5  # an environment variable or a configuration file
    BAD_MODEL = 6  # the model cannot be loaded, does not answer, or predicts something else
    CHILD_DIED = 7  # nginx or gunicorn ended unexpectedly
    DRAIN_TIMEOUT = 8  # a request was still running when the time to stop was up
    HOST_LOST = 9  # another host of the job died, hung or failed
    USAGE = 64  # an argument that there is not
    STOPPED = 143  # SIGTERM (128 + 15) came before there was a model


def as_exception(error: BaseException) -> Exception:
    """
    Return what ends a request only: an AlgorithmError for SystemExit and whatever else would end
    the process that serves.
    """
    if isinstance(error, Exception):
        return error
    name = type(error).__name__
    made = AlgorithmError(f"the algorithm raised {name}; expected an Exception, such as ValueError")
    made.__cause__ = error
    return made


def text_of(error: Exception) -> str:
    """
    Return the message of somebody's exception, whose ``__str__`` may fail.
    """
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - theirs
        return "(its message cannot be shown)"


class JobError(Exception):
    """
    Ends ``train`` or ``serve``; the message states cause and remedy.
    """

    exit_code = ExitCode.UNEXPECTED


class UsageError(JobError):
    """
    ``train`` or ``serve`` was given an argument that it does not know.
    """

    exit_code = ExitCode.USAGE


class HyperparameterError(JobError):
    """
    A hyperparameter is unknown or outside its range.
    """

    exit_code = ExitCode.BAD_HYPERPARAMETER


class DataError(JobError):
    """
    The training data must be fixed by those who provide it.
    """

    exit_code = ExitCode.BAD_DATA


class AlgorithmError(JobError):
    """
    The algorithm's package lacks a part or returns what cannot be written.
    """

    exit_code = ExitCode.BAD_ALGORITHM


class SettingError(JobError):
    """
    A setting of ``serve`` is outside its range.
    """

    exit_code = ExitCode.BAD_SETTING


class ConfigurationError(JobError):
    """
    A configuration file of the job is not in the form that the platform writes.
    """

    exit_code = ExitCode.BAD_SETTING


class ModelError(JobError):
    """
    The model cannot be served; the message says why, or what is there and what was expected.
    """

    exit_code = ExitCode.BAD_MODEL


class NoServingCode(ModelError):
    """
    The model has no code yet that serves it; a job that only trains is fine.
    """


class ChildDied(JobError):
    """
    nginx or gunicorn ended unexpectedly.
    """

    exit_code = ExitCode.CHILD_DIED


class DrainTimeout(JobError):
    """
    A request was still running when the time to stop was up.
    """

    exit_code = ExitCode.DRAIN_TIMEOUT


class HostLost(JobError):
    """
    Another host of the job died, hung or failed; the message names it.
    """

    exit_code = ExitCode.HOST_LOST


class Stopped(JobError):
    """
    The platform ended the job before there was a model.
    """

    exit_code = ExitCode.STOPPED


class RequestError(Exception):
    """
    Ends a request with ``status``; ``row`` counts data rows from 1, a header not included.
    """

    status = 400
    code = "bad_request"

    def __init__(self, message: str, row: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        # Also of numpy's types, which JSON does not have.
        self.row = None if row is None else int(row)
        self.column = None if column is None else str(column)


class Malformed(RequestError):
    """
    The body is not what its content type says.
    """

    code = "malformed_body"


class NotAcceptable(RequestError):
    """
    None of the media types in Accept can be produced.
    """

    status = 406
    code = "not_acceptable"


class PayloadTooLarge(RequestError):
    """
    The body is over the payload limit.
    """

    status = 413
    code = "payload_too_large"


class UnsupportedMediaType(RequestError):
    """
    The content type is not one that is read.
    """

    status = 415
    code = "unsupported_media_type"


class InvalidValue(RequestError):
    """
    The body is well-formed, a value or column in it breaks the schema.
    """

    status = 422
    code = "invalid_value"
