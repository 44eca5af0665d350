"""
A connection between two hosts: signs of life both ways, and what happens when they cease.
"""

import queue
import socket
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic

from sagemaker_runtime.errors import AlgorithmError
from sagemaker_runtime.training import cluster_messages as messages
from sagemaker_runtime.training import cluster_watch
from sagemaker_runtime.training.cluster_messages import Kind, Message
from sagemaker_runtime.training.cluster_watch import Watch

POLL_S = 0.1


class Link:
    """
    A connection to the host ``name``, read and kept alive by its own threads.
    """

    def __init__(self, connection: socket.socket, name: str, watch: Watch, limit: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(watch.times.dead)
        self.name = name
        self.address: str = connection.getsockname()[0]
        self._connection = connection
        self._watch = watch
        self._limit = limit
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._sending = Lock()
        self._wake = Event()
        self._last_words: bytes | None = None
        self._is_closing = False
        self._reader = Thread(target=self._read, name=f"from {name}", daemon=True)
        self._beater = Thread(target=self._beat, name=f"to {name}", daemon=True)
        self._reader.start()
        self._beater.start()

    def send(self, message: Message) -> None:
        """
        Send a message; raises HostLost.
        """
        try:
            with self._sending:
                messages.send(self._connection, message)
        except OSError as error:
            self._lose_unless_told(error)
            self._watch.check()
            raise

    def receive(self, kind: Kind, number: int) -> bytes | bytearray:
        """
        Wait for the body of a call's message.

        Raises HostLost, AlgorithmError when the other host makes another call.
        """
        while True:
            self._watch.check()
            try:
                found = self._inbox.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if (found.kind, found.number) != (kind, number):
                raise AlgorithmError(
                    f"{self.name} is at {found.kind.name.lower()}, its call {found.number}, while "
                    f"this host is at {kind.name.lower()}, its call {number}; every host must make "
                    "the same calls of job.cluster in the same order."
                )
            return found.body

    def say_last(self, words: bytes) -> None:
        """
        Send why the job ends, as soon as the connection is free.
        """
        self._last_words = words
        self._wake.set()

    def check(self) -> None:
        """
        Raise HostLost when any host is lost.
        """
        self._watch.check()

    def hang_up(self) -> None:
        """
        Begin to close the connection: the last words, if there are any, are on their way.
        """
        self._is_closing = True
        self._wake.set()

    def close(self, until: float) -> None:
        """
        Close the connection when the other host has read all, at the latest at a moment of the
        monotonic clock.
        """
        self._beater.join(max(0, until - monotonic()))
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        self.await_end(until)
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)
        self._connection.close()

    def await_end(self, until: float) -> None:
        """
        Wait until the other host has closed the connection, at most until then.
        """
        self._reader.join(max(0, until - monotonic()))

    def _read(self) -> None:
        try:
            while True:
                message = messages.receive(self._connection, self._limit)
                if message.kind is Kind.BEAT:
                    if message.number:
                        self._watch.stop()
                elif message.kind is Kind.LOST:
                    self._watch.report(*cluster_watch.read_words(message.body))
                else:
                    self._inbox.put(message)
        except (OSError, ValueError) as error:
            self._lose(error)

    def _beat(self) -> None:
        try:
            while not self._wake.wait(self._watch.times.beat):
                self._send_beat()
            if self._last_words is not None:
                with self._sending:
                    messages.send(self._connection, Message(Kind.LOST, body=self._last_words))
        except OSError as error:
            self._lose_unless_told(error)

    def _send_beat(self) -> None:
        with self._sending:
            messages.send(self._connection, Message(Kind.BEAT, int(bool(self._watch.stops))))

    def _lose_unless_told(self, error: OSError) -> None:
        """
        Report the host when nothing can be sent to it, unless the reader finds its last words: it
        may have ended for another host's sake.
        """
        if isinstance(error, TimeoutError) or not self._watch.wait(self._watch.times.farewell):
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        if self._is_closing:
            return
        if isinstance(error, TimeoutError):
            why = (
                f"was not heard from for {self._watch.times.dead:g} s: it hangs or the network "
                "between the hosts is down. Start the job again."
            )
        elif isinstance(error, messages.Foreign | ValueError):
            why = "sent what is not understood: does it run another version of the image?"
        else:
            why = (
                "ended without a word: it was killed, most likely for lack of memory, or its "
                "instance failed. Its log may say more; choose instances with more memory."
            )
        self._watch.report(self.name, why)
