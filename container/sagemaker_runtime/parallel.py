"""
Work in threads, on all processors.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from math import ceil
from typing import TypeVar

from sagemaker_runtime.resources import cpus

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """
    Give ``work`` of each item in turn, computed in threads a few items ahead.
    """
    items = iter(items)
    first = list(islice(items, 2))
    if len(first) < 2:  # threads take a millisecond, for each of many small files
        yield from map(work, first)
        return
    threads = ceil(cpus())
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Result]] = deque()
        for item in chain(first, items):
            ahead.append(pool.submit(work, item))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
