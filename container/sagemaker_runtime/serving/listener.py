"""
The port: taken before anything starts, handed to the process that accepts there, and closed so that
no caller is lost.
"""

import ctypes
import errno
import socket
import struct
import sys

from sagemaker_runtime.errors import SettingError

# As many callers as nginx lets wait by itself.
BACKLOG = 511
SO_ATTACH_FILTER = 26
SYN = 0x02
FLAGS = 13  # where they stand in a TCP header
# Drop packets that ask for a connection, pass all others. For the codes see
# https://www.kernel.org/doc/html/latest/networking/filter.html
NO_NEWCOMERS = (
    (0x30, 0, 0, FLAGS),  # load a byte
    (0x45, 0, 1, SYN),  # skip the next instruction unless this bit is set
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)


def take(port: int) -> socket.socket:
    """
    Return a socket for the port, of IPv4 and, where the machine has it, of IPv6, which refuses
    connections until ``listen``.

    Raises SettingError when somebody else has the port.
    """
    try:
        return _dual(port) or _bound(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - from outside
    except OSError as error:
        raise SettingError(
            f"SAGEMAKER_BIND_TO_PORT is {port}, where nothing can listen now: {error.strerror}. "
            "Stop what uses the port or choose another, such as 8081."
        ) from error


def turn_newcomers_away(listening: socket.socket) -> None:
    """
    Have the kernel ignore who asks for a connection, while those who have one wait to be accepted.

    Closing the socket would reset them. The ignored ask again within a second and are refused then,
    or reach the next server. Only Linux can do it; elsewhere nothing changes.
    """
    if sys.platform != "linux":
        return
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in NO_NEWCOMERS)
    instructions = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(NO_NEWCOMERS), ctypes.addressof(instructions))
    try:
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    except OSError:
        return  # a kernel that is not Linux, such as gVisor's


def _dual(port: int) -> socket.socket | None:
    """
    Bind for both versions, or return None on a machine without IPv6.
    """
    if not socket.has_dualstack_ipv6():
        return None
    try:
        return _bound(socket.AF_INET6, "::", port)
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return None
        raise


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound
