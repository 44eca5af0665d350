"""
All variants of one endpoint configuration, and the choice among them by weight.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from local_cloud.cloud import Cloud
from local_cloud.errors import AwsError
from local_cloud.hosting.variant import Variant
from local_cloud.records import Record

T = TypeVar("T")


class Turns:
    """
    Takes turns by weight: of any ten requests, a tenth gives one, and not only on average.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._credit: dict[int, float] = {}

    def choose(self, weighted: Sequence[tuple[float, T]]) -> T:
        """
        Return the one whose turn it is; weights of 0 have none.
        """
        total = sum(weight for weight, _ in weighted)
        with self._lock:
            for place, (weight, _) in enumerate(weighted):
                self._credit[place] = self._credit.get(place, 0.0) + weight
            ready = [place for place, (weight, _) in enumerate(weighted) if weight > 0]
            place = max(ready or [0], key=lambda each: self._credit[each])
            self._credit[place] -= total
            return weighted[place][1]


class Fleet:
    """
    The variants that an endpoint configuration has, production and shadow.
    """

    def __init__(self, cloud: Cloud, endpoint: str, config: Record) -> None:
        self.config = config
        self.variants = [Variant(cloud, endpoint, each) for each in config["ProductionVariants"]]
        self.shadows = [
            Variant(cloud, endpoint, each) for each in config.get("ShadowProductionVariants", [])
        ]
        self._turns = Turns()

    def start(self) -> None:
        """
        Start all variants; raises Failed, after which stop() is needed.
        """
        _together(Variant.start, [*self.variants, *self.shadows])

    def stop(self) -> None:
        """
        Stop all variants.
        """
        _together(Variant.stop, [*self.variants, *self.shadows])

    def variant(self, name: str) -> Variant:
        """
        Return a variant by its name; raises AwsError.
        """
        for each in self.variants:
            if each.name == name:
                return each
        raise AwsError("ValidationError", f"Could not find variant {name}")

    def choose(self) -> Variant:
        """
        Return the variant that is to answer the next request.
        """
        return self._turns.choose([(each.weight, each) for each in self.variants])


def _together(work: Callable[[Variant], None], variants: Iterable[Variant]) -> None:
    listed = list(variants)
    with ThreadPoolExecutor(max_workers=len(listed)) as pool:
        done = [pool.submit(work, each) for each in listed]
    for each in done:
        each.result()
