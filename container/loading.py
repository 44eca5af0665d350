"""
The models that a worker of a multi-model endpoint holds: loaded, lent to requests, unloaded.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from weakref import WeakValueDictionary

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

import probe
from answers import ModelUnavailable
from invocations import Invocations
from predictor import Predictor
from sagemaker_runtime import resources
from sagemaker_runtime.algorithm import Algorithm
from sagemaker_runtime.errors import RequestError
from sagemaker_runtime.formats.messages import shown
from sagemaker_runtime.paths import Paths
from sagemaker_runtime.serving import memory
from sagemaker_runtime.serving.metrics import recorder
from sagemaker_runtime.serving.models import AlreadyLoaded, Entry, NoMemory, NotLoaded, Registry
from sagemaker_runtime.settings import Settings
from threads import end_worker

# The part of the granted memory that no model gets: requests need some, too.
SPARE = 0.1

# As SageMaker gives them.
EXAMPLE = Paths().models / "NAME/model"

logger = logging.getLogger(__name__)


class Model:
    """
    A loaded model, with the number of requests that it is lent to.
    """

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self.predictor = predictor
        self.invocations = Invocations(predictor, settings)
        self.is_free = Event()
        self._requests = 0
        self.is_free.set()

    def lend(self) -> "Model":
        """
        Count one request more.
        """
        self._requests += 1
        self.is_free.clear()
        return self

    def take_back(self) -> None:
        """
        Count one request less.
        """
        self._requests -= 1
        if not self._requests:
            self.is_free.set()


class Models:
    """
    The models of this worker, by key: the URL-encoded name.

    The same worker gets all requests for a model. What it must know when it has taken the place of
    another, and what others ask for, is in the registry.
    """

    def __init__(self, algorithm: Algorithm, settings: Settings) -> None:
        # In the folder that serve gives to its workers.
        self.registry = Registry(Path(tempfile.gettempdir(), "models"))
        self._algorithm, self._settings = algorithm, settings
        self._models: dict[str, Model] = {}
        self._locks: WeakValueDictionary[str, BoundedSemaphore] = WeakValueDictionary()
        self._turn = BoundedSemaphore(1)
        self._spare = int(resources.memory_mb() * resources.MB * SPARE)

    @cached_property
    def _threads(self) -> ThreadPool:
        # Made in the worker, not before the fork; a pool besides that for large bodies, so that
        # other models answer those meanwhile.
        return ThreadPool(1)

    def health(self) -> None:
        """
        Return None: an endpoint without a model is healthy.
        """

    def load(self, key: str, url: str) -> Entry:
        """
        Load the model in the folder ``url``.

        Raises AlreadyLoaded, NoMemory, TimedOut, and ModelUnavailable when it cannot be served.
        """
        began = perf_counter()
        with self._lock(key):
            if self.registry.find(key):
                raise AlreadyLoaded("a model of this name is loaded; unload it first")
            folder = _folder(url)
            if not self._left():
                raise NoMemory("no memory is left; unload other models or take a larger instance")
            size = probe.measure(folder, self._settings.load_timeout_s)
            entry = Entry(key, url, size, os.getpid(), loaded=False)
            self.registry.reserve(entry, self._left)
            try:
                self._models[key] = self._open(folder)
                entry = replace(entry, loaded=True)
                self.registry.write(entry)
            except BaseException:
                self._models.pop(key, None)
                self.registry.remove(key)
                memory.give_back()
                raise
            recorder.loaded(perf_counter() - began)
            return entry

    def unload(self, key: str) -> Entry:
        """
        Unload a model once no request uses it, and give its memory back; raises NotLoaded.
        """
        with self._lock(key):
            entry = self.find(key)
            self.registry.remove(key)
            model = self._models.pop(key, None)
            if model is not None:  # this worker has been asked for it since it started
                if not model.is_free.wait(self._settings.timeout_s):
                    logger.warning("an answer is still being sent by a model that was unloaded")
                model.predictor.unload()
                del model
                memory.give_back()
            return entry

    def lend(self, key: str) -> Model:
        """
        Return a model to use, which is to be taken back; raises NotLoaded.
        """
        model = self._models.get(key)
        if model is None:
            self.find(key)  # before waiting for one that is being loaded or unloaded
            with self._lock(key):
                model = self._models.get(key) or self._load_again(key)
        return model.lend()

    def _load_again(self, key: str) -> Model:
        """
        Load a model that was loaded in a worker whose place this one has taken.
        """
        began = perf_counter()
        entry = self.find(key)
        model = self._models[key] = self._open(Path(entry.url))
        self.registry.write(replace(entry, worker=os.getpid()))
        recorder.loaded(perf_counter() - began)
        return model

    def _open(self, folder: Path) -> Model:
        """
        Load a model in a thread, while this worker goes on answering.
        """
        started, limit_s = perf_counter(), self._settings.load_timeout_s

        def predict_example() -> Predictor:
            predictor = Predictor(self._algorithm, folder)
            predictor.health()
            return predictor

        try:
            # The time begins with the turn: one model is loaded after the other.
            with self._turn, gevent.Timeout(limit_s):
                predictor: Predictor = self._threads.spawn(predict_example).get()
        except gevent.Timeout:
            logger.error(
                "the model in %s, which loaded when it was tried, did not within %g s: this worker "
                "ends, as a thread cannot be stopped; another takes its place",
                folder,
                limit_s,
            )
            end_worker()
            raise ModelUnavailable(f"the model was not loaded within {limit_s:g} s") from None
        if reason := predictor.health():
            if isinstance(predictor.error, MemoryError):
                raise NoMemory(reason)
            raise ModelUnavailable(reason)
        logger.info("loaded the model in %s in %.2f s", folder, perf_counter() - started)
        return Model(predictor, self._settings)

    def find(self, key: str) -> Entry:
        """
        Return the model's entry in the registry; raises NotLoaded.
        """
        if entry := self.registry.find(key):
            return entry
        raise NotLoaded("no model of this name is loaded; load it first: POST /models")

    def _left(self) -> int:
        return max(0, resources.free_bytes() - self._spare)

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        """
        Do one thing at a time with a model, others with other models.
        """
        lock = self._locks.setdefault(key, BoundedSemaphore(1))
        with lock:
            yield


def _folder(url: str) -> Path:
    """
    Return the folder that the platform names; raises RequestError when there is none.
    """
    folder = Path(url)
    if not folder.is_absolute() or not folder.is_dir():
        raise RequestError(
            f"url is {shown(url)}, where no folder is; expected the absolute path of a folder with "
            f"a model's files, such as {EXAMPLE}"
        )
    return folder
