"""
Starts the server, sends it a file or the algorithm's own example, prints the answer, stops it: the
second half of try.sh.
"""

import http.client
import json
import mimetypes
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONTAINER = Path(__file__).resolve().parents[1] / "container"
# How often a request is repeated for the median time; a first answer is often slower.
REPEATS = 20
# How many characters of an answer are printed.
SHOWN = 2_000

mimetypes.add_type("text/csv", ".csv")
mimetypes.add_type("application/jsonlines", ".jsonl")
mimetypes.add_type("application/x-npy", ".npy")


def request(arguments: list[str]) -> tuple[str, bytes]:
    """
    Return the Content-Type and the body of what is to be sent.
    """
    if arguments:
        file = Path(arguments[0])
        content_type = mimetypes.guess_type(file.name)[0]
        if content_type is None:
            sys.exit(f"no content type known for {file}; expected an ending such as .csv or .json")
        return content_type, file.read_bytes()
    sys.path.insert(0, str(CONTAINER))
    from sagemaker_runtime.algorithm import find_algorithm

    example = find_algorithm().input.example()
    if example is None:
        sys.exit("this algorithm has no example; name a file with a request")
    return example


def wait_for_ping(server: subprocess.Popen[bytes], port: int) -> None:
    """
    Return once /ping answers 200.

    Raises RuntimeError when the server ends first, or says why it is not healthy.
    """
    while server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ping")
            answer = connection.getresponse()
            if answer.status == 200:
                return
            raise RuntimeError(f"/ping answered {answer.status}: {answer.read().decode()}")
        except OSError:
            time.sleep(0.02)  # nothing listens yet
        finally:
            connection.close()
    raise RuntimeError(f"the server ended with exit code {server.returncode} before it answered")


def ask(port: int, content_type: str, body: bytes) -> tuple[str, bytes, float]:
    """
    Return the answer's Content-Type, the answer and how many seconds it took.

    Raises RuntimeError for a status other than 200.
    """
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": content_type})
        answer = connection.getresponse()
        given = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"/invocations answered {answer.status}: {given.decode()}")
    return answer.headers["Content-Type"], given, time.perf_counter() - started


def show(content_type: str, answer: bytes) -> None:
    """
    Print an answer as far as it is text and not long.
    """
    try:
        text = answer.decode()
    except UnicodeDecodeError:
        print(f"({len(answer):,} bytes of {content_type})")
        return
    print(text[:SHOWN].rstrip("\n"))
    if len(text) > SHOWN:
        print(f"... ({len(text):,} characters in all)")


def try_out(server: subprocess.Popen[bytes], port: int, content_type: str, body: bytes) -> None:
    """
    Ask a server that was just started and print what it says and how long it takes.
    """
    started = time.perf_counter()
    wait_for_ping(server, port)
    ready = time.perf_counter() - started
    kind, answer, first = ask(port, content_type, body)
    again = statistics.median(ask(port, content_type, body)[2] for _ in range(REPEATS))
    show(kind, answer)
    print(
        f"\n200 {kind} in {first * 1000:.1f} ms, then in {again * 1000:.1f} ms (median of "
        f"{REPEATS}); ready {ready:.2f} s after the start"
    )
    # fares.py reads it.
    (Path(os.environ["SAGEMAKER_BASE_DIR"]) / "output/answer").write_bytes(answer)


def main() -> None:
    """
    Serve the model below SAGEMAKER_BASE_DIR, ask, stop.
    """
    content_type, body = request(sys.argv[1:])
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    environ = os.environ | {"SAGEMAKER_BIND_TO_PORT": str(port)}
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, str(CONTAINER / "serve")]
        server = subprocess.Popen(command, env=environ, stdout=log, stderr=log)  # noqa: S603
        try:
            try_out(server, port, content_type, body)
        except (OSError, RuntimeError) as error:
            log.seek(0)
            sys.exit(f"{log.read().decode()}\n{error}; the server's log stands above")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
        log.seek(0)
        for line in log.read().decode().splitlines():
            if "nginx is not" in line:
                print(json.loads(line)["message"])


if __name__ == "__main__":
    main()
