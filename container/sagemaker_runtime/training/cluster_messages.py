"""
What the hosts of a job send each other: a head of 13 bytes and a body, over one TCP connection.

Nothing that arrives is unpickled, and a body is held only as far as it has arrived.
"""

import io
import socket
import struct
from collections.abc import Sequence
from enum import IntEnum
from time import monotonic
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sagemaker_runtime.errors import AlgorithmError

# Bytes of what one host gives to one call: a sample of some hundred thousand rows, not the rows.
PART_LIMIT = 256 << 20
# Bytes of all other messages: names and reasons.
WORDS_LIMIT = 64 << 10
CHUNK = 1 << 20  # bytes that are sent or received at once, each within the connection's timeout
HEAD = struct.Struct("!BIQ")  # kind, number, bytes of the body


class Kind(IntEnum):
    """
    What a message is; the last five are calls that all hosts make in the same order.
    """

    HELLO = 83  # a worker's name and the hosts it knows of
    WELCOME = 1
    REFUSED = 2  # and why
    BEAT = 3  # a sign of life; its number is 1 once the host was asked to stop
    LOST = 4  # a host's name and why the job ends
    START = 5  # all hosts are there
    GATHER = 6
    BROADCAST = 7
    BARRIER = 8
    TRAINED = 9
    PUBLISHED = 10


class Message(NamedTuple):
    """
    ``number`` counts the calls, so that a host that left one out is noticed.
    """

    kind: Kind
    number: int = 0
    body: bytes | bytearray = b""


class Closed(ConnectionError):
    """
    The other end closed the connection.
    """


class Foreign(ConnectionError):
    """
    What arrived is not one of these messages.
    """


def send(connection: socket.socket, message: Message) -> None:
    """
    Send a message; raises OSError, TimeoutError when a chunk cannot be sent in time.
    """
    body = memoryview(message.body)
    head = HEAD.pack(message.kind, message.number, len(body))
    if len(body) < CHUNK:
        connection.sendall(head + body)
        return
    connection.sendall(head)
    for start in range(0, len(body), CHUNK):
        connection.sendall(body[start : start + CHUNK])


def receive(connection: socket.socket, limit: int, until: float | None = None) -> Message:
    """
    Return the next message, which may arrive ``until`` a moment of the monotonic clock.

    Raises OSError: TimeoutError when nothing arrives within the connection's timeout, Closed at the
    connection's end, Foreign for another protocol or a body of more than ``limit`` bytes.
    """
    kind, number, size = HEAD.unpack(_exactly(connection, HEAD.size, until))
    if kind not in list(Kind) or size > limit:
        raise Foreign("it does not speak this protocol")
    return Message(Kind(kind), number, _exactly(connection, size, until))


def _exactly(connection: socket.socket, size: int, until: float | None) -> bytearray:
    found = bytearray()
    while len(found) < size:
        if until is not None:
            connection.settimeout(max(until - monotonic(), 0.001))
        chunk = connection.recv(min(size - len(found), CHUNK))
        if not chunk:
            raise Closed("it closed the connection")
        found += chunk
    return found


def from_array(value: ArrayLike) -> bytes:
    """
    Return an array as bytes.

    Raises AlgorithmError for objects and for more than PART_LIMIT bytes.
    """
    array = np.asanyarray(value)
    if array.nbytes > PART_LIMIT:
        raise AlgorithmError(
            f"an array of {array.nbytes:,} bytes was handed to job.cluster; expected at most "
            f"{PART_LIMIT:,}. Send sums, counts or a sample of the rows."
        )
    if array.dtype.hasobject:
        raise AlgorithmError(
            f"an array of objects ({type(value).__name__}) was handed to job.cluster; expected "
            "numbers, booleans, times or text of one kind, such as np.array([1.5, 2.0])."
        )
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def to_array(part: bytes | memoryview) -> np.ndarray:
    """
    Return the array in bytes that from_array made.
    """
    array: np.ndarray = np.load(io.BytesIO(part), allow_pickle=False)
    return array


def joined(parts: Sequence[bytes | bytearray]) -> bytes:
    """
    Put what each host gave together: the sizes, then the parts.
    """
    return struct.pack(f"!{len(parts)}Q", *map(len, parts)) + b"".join(parts)


def parted(body: bytes | bytearray, hosts: int) -> list[memoryview]:
    """
    Take apart what ``joined`` put together.

    Raises Foreign when the sizes are not those of the body.
    """
    head = struct.Struct(f"!{hosts}Q")
    sizes = head.unpack_from(body) if len(body) >= head.size else ()
    if not sizes or head.size + sum(sizes) != len(body):
        raise Foreign("it does not speak this protocol")
    view, start, parts = memoryview(body), head.size, []
    for size in sizes:
        parts.append(view[start : start + size])
        start += size
    return parts
