"""
The WSGI middleware in front of Flask: answers invocations itself and hands on everything else.
"""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gunicorn.http.errors import ParseException

from answers import Answer, Call, refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)


class Middleware:
    """
    Answers the requests that ``is_invocation`` by ``invoke``, and hands on the others to Flask.

    Finding the view and making its context and response take Flask longer than a row takes the
    model. Only when ``is_hooked`` says that somebody hooks into Flask's requests are invocations
    handed on too: to a view that calls ``invoke``.
    """

    def __init__(
        self,
        flask: "WSGIApplication",
        is_invocation: Callable[[Call], bool],
        invoke: Callable[[Call], Answer],
        is_hooked: Callable[[], bool],
    ) -> None:
        self._flask, self._is_hooked = flask, is_hooked
        self._is_invocation, self._invoke = is_invocation, invoke
        self._told = False

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        call = Call(environ)
        if not self._is_invocation(call):
            return self._flask(environ, start_response)
        if self._is_hooked():
            if not self._told:
                self._told = True
                logger.info(
                    "the Flask application has hooks, error handlers or another view: POST "
                    "/invocations goes by way of Flask so that they see it, which takes about "
                    "0.1 ms more for each request"
                )
            return self._flask(environ, start_response)
        try:
            answer = self._invoke(call)
        except ParseException:  # gunicorn's to answer: it then closes the connection
            raise
        except Exception as error:  # noqa: BLE001 - each is answered and logged
            answer = refusal(call, error)
        return answer.send(start_response)
