"""
The checks, one file for each area, in the order in which they are reported.
"""

from conformance.areas import (
    batch,
    content,
    crashes,
    health,
    hosts,
    image,
    inputs,
    limits,
    multi_model,
    payloads,
    pipelines,
    serving,
    stopping,
    training,
)
from conformance.verdicts import Check

AREAS = (
    image.area,
    training.area,
    inputs.area,
    hosts.area,
    serving.area,
    health.area,
    content.area,
    payloads.area,
    stopping.area,
    crashes.area,
    limits.area,
    pipelines.area,
    batch.area,
    multi_model.area,
)

CHECKS: tuple[Check, ...] = tuple(check for area in AREAS for check in area)
