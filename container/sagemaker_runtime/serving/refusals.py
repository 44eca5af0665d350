"""
The answers that nginx and gunicorn give without asking the application: one code and one text each.
"""

from dataclasses import dataclass

from sagemaker_runtime.settings import Settings


@dataclass(frozen=True)
class Refusal:
    """
    What the JSON of an error says for a status; texts may name a setting's value in {}.
    """

    status: int
    code: str
    message: str


# Whatever has another status.
BAD_REQUEST = Refusal(400, "bad_request", "the request is not valid HTTP")
FAILED = Refusal(500, "internal_error", "the request could not be handled; the log says why")
REFUSALS = (
    BAD_REQUEST,
    # The one path that nginx keeps for itself.
    Refusal(404, "not_found", "'/error' is not served; use POST /invocations or GET /ping"),
    Refusal(405, "method_not_allowed", "the method is not allowed; use GET or POST"),
    Refusal(408, "request_timeout", "the request did not arrive in time"),
    Refusal(
        413,
        "payload_too_large",
        "the body is larger than {max_payload_mb} MB; send less or raise "
        "MODEL_SERVER_MAX_PAYLOAD_MB",
    ),
    Refusal(414, "uri_too_long", "the URL is too long; at most 8 KB are taken"),
    Refusal(417, "expectation_failed", "Expect is not 100-continue; leave it out"),
    Refusal(431, "headers_too_large", "the headers are too large; at most 16 KB are taken in one"),
    FAILED,
    Refusal(
        501, "not_implemented", "the Transfer-Encoding is not known; use chunked or Content-Length"
    ),
    Refusal(502, "worker_failed", "the worker failed before it answered; the log says why"),
    Refusal(503, "stopping", "the server is stopping"),
    Refusal(
        504, "timeout", "no answer within {timeout_s} s; send less or raise MODEL_SERVER_TIMEOUT"
    ),
    Refusal(505, "http_version_not_supported", "the HTTP version is not known; use HTTP/1.1"),
)


def find(status: int) -> Refusal:
    """
    Return the refusal with a status, or the usual one of its class.
    """
    known = {refusal.status: refusal for refusal in REFUSALS}
    return known.get(status, FAILED if status >= 500 else BAD_REQUEST)


def maps(settings: Settings) -> dict[str, str]:
    """
    Return lines for nginx's ``map $status``: the codes and the texts.
    """
    values = {"max_payload_mb": settings.max_payload_mb, "timeout_s": settings.timeout_s}
    codes = [f'default "{BAD_REQUEST.code}";', f'~^5 "{FAILED.code}";']
    texts = [f'default "{BAD_REQUEST.message}";', f'~^5 "{FAILED.message}";']
    for refusal in REFUSALS:
        codes.append(f'{refusal.status} "{refusal.code}";')
        texts.append(f'{refusal.status} "{refusal.message.format(**values)}";')
    return {"error_codes": "\n        ".join(codes), "error_messages": "\n        ".join(texts)}
