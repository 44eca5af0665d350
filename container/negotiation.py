"""
Which media type a body has and which one its answer gets.
"""

from functools import lru_cache

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header

from sagemaker_runtime.algorithm import ANY, usual
from sagemaker_runtime.errors import NotAcceptable, UnsupportedMediaType
from sagemaker_runtime.formats.messages import shown


@lru_cache(maxsize=256)
def content_type(header: str, reads: tuple[str, ...]) -> tuple[str, str]:
    """
    Split a Content-Type header into media type, one of ``reads``, and charset, both lower case.
    """
    media_type, parameters = parse_options_header(header)
    media_type, charset = media_type.lower(), parameters.get("charset", "utf-8").lower()
    if ANY in reads:
        return media_type or usual(reads), charset
    if not media_type:
        raise UnsupportedMediaType(
            f"there is no Content-Type; name what the body is, one of {', '.join(reads)}"
        )
    if media_type not in reads:
        raise UnsupportedMediaType(
            f"Content-Type is {shown(media_type)}; expected one of {', '.join(reads)}"
        )
    return media_type, charset


@lru_cache(maxsize=256)
def with_charset(answer_type: str, accept: str) -> str:
    """
    Name the charset of a text where Accept does: others compare the type with its bare name.
    """
    is_asked = answer_type.startswith("text/") and "charset" in accept.lower()
    return f"{answer_type}; charset=utf-8" if is_asked else answer_type


@lru_cache(maxsize=256)
def answer_type(accept: str, request_type: str, writes: tuple[str, ...]) -> str:
    """
    Choose the answer's media type out of ``writes``; where Accept leaves the choice, the request's
    own or, when it is not among them, the first.
    """
    preferred = [media_type for media_type in writes if media_type != ANY] or [usual(writes)]
    if request_type in preferred:
        preferred.insert(0, request_type)
    if not accept.strip():
        return preferred[0]
    # Parameters such as a charset do not change what is produced.
    wanted = MIMEAccept(
        (media_range.partition(";")[0].strip(), quality)
        for media_range, quality in parse_accept_header(accept)
    )
    named: list[str] = []
    if ANY in writes:
        named = [name.lower() for name in wanted.values() if "/" in name and "*" not in name]
    chosen = wanted.best_match([*preferred, *named])
    if chosen is None:
        raise NotAcceptable(
            f"Accept is {shown(accept)}; expected one of {', '.join(writes)}, or no Accept"
        )
    return chosen
