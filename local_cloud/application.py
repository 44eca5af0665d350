"""
The WSGI application: SageMaker is answered here, all else by moto behind; everything is noted.
"""

import io
import json
import logging
import os
import signal
import socket
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Request, Response

from local_cloud import callers, calls, limits
from local_cloud.backend import ACCESS_KEY
from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError, unknown
from local_cloud.faults import Fault
from local_cloud.journal import Call

Service = Callable[[Call, Request], Response]
log = logging.getLogger("local_cloud")
JSON_1_1 = "application/x-amz-json-1.1"


class Application:
    """
    Finds out what is asked, lets faults happen, hands on, notes down.

    ``services`` has what answers for the services that are not left to moto, by the name that
    signatures have; ``admin`` answers below /_local_cloud/.
    """

    def __init__(self, cloud: Cloud, admin: Callable[[Request], Response]) -> None:
        self._cloud = cloud
        self._admin = admin
        self.services: dict[str, Service] = {}
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """
        Answer one request.
        """
        own = f"Credential={ACCESS_KEY}/" in environ.get("HTTP_AUTHORIZATION", "")
        if own or environ["PATH_INFO"].startswith("/moto-api/"):
            answered: Iterable[bytes] = self._moto(environ, start_response)
            return answered
        request = Request(environ)
        if request.path.startswith("/_local_cloud/"):
            return self._admin(request)(environ, start_response)
        if request.method == "POST":
            request.get_data()  # kept, so that it can be read more than once
        call = calls.identify(request, self._cloud.region, self._cloud.account)
        fault = self._cloud.faults.met(call)
        if fault and fault.way.endswith("-before"):
            return _no_answer(fault, environ)
        response = self._answered(call, fault, request, environ)
        call.time, call.status = self._cloud.clock.now().isoformat(), response.status_code
        self._cloud.journal.add(call)
        if fault and fault.way.endswith("-after"):
            response.close()
            return _no_answer(fault, environ)
        response.headers.setdefault("x-amzn-RequestId", str(uuid.uuid4()))
        return response(environ, start_response)

    def _answered(
        self, call: Call, fault: Fault | None, request: Request, environ: dict[str, Any]
    ) -> Response:
        try:
            if fault and fault.way == "error":
                raise AwsError(fault.code, fault.message, fault.status)
            if fault and fault.way == "fail":
                name = call.asked.get(f"{call.action.removeprefix('Create')}Name", "")
                self._cloud.faults.doom(name, f"{fault.code}: {fault.message}")
            if service := self.services.get(call.service):
                return service(call, request)
            return self._behind(call, request, environ)
        except AwsError as error:
            call.error = error.code
            return refusal(error, request)
        except Exception:
            log.exception("a defect of the local cloud in %s", call.name)
            call.error = "InternalFailure"
            text = f"a defect of the local cloud in {call.name}; its log has the traceback"
            return refusal(AwsError("InternalFailure", text, 500), request)

    def _behind(self, call: Call, request: Request, environ: dict[str, Any]) -> Response:
        limits.check(call)
        if request.method == "POST":
            # What was read to find out what is asked is there to be read again.
            body = request.get_data()
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        try:
            response = Response.from_app(self._moto, environ)
        except Exception as error:  # what moto does not know ends in exceptions of any kind
            log.warning("moto on %s: %r", call.name, error)
            raise unknown(call.service, call.action) from error
        if response.status_code >= 400:
            call.error = str(response.status_code)
        return response


def refusal(error: AwsError, request: Request) -> Response:
    """
    Return an error in the form of the protocol that was asked in.
    """
    shape = {"__type": error.code, "message": error.message, "Message": error.message, **error.more}
    headers = {"x-amzn-errortype": error.code}
    if "X-Amz-Target" in request.headers or "/endpoints/" in request.path:
        kind = JSON_1_1 if "X-Amz-Target" in request.headers else "application/json"
        return Response(json.dumps(shape), error.status, headers, content_type=kind)
    text = error.message.replace("&", "&amp;").replace("<", "&lt;")
    inner = f"<Code>{error.code}</Code><Message>{text}</Message>"
    whole = f"<Error>{inner}</Error>"
    if request.form:  # the query protocol wraps it once more
        whole = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error></ErrorResponse>"
    return Response(whole, error.status, headers, content_type="text/xml")


def _no_answer(fault: Fault, environ: dict[str, Any]) -> Iterable[bytes]:
    """
    Kill the process that asked if that is wanted, and cut the connection without a word.
    """
    connection = environ["werkzeug.socket"]
    if fault.way.startswith("kill"):
        process = callers.process_behind(connection.getpeername()[1], environ["SERVER_PORT"])
        if process and process != os.getpid():
            os.kill(process, signal.SIGKILL)
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError
