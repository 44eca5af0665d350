"""
What a batch transform job is told that does not set it itself: GET /execution-parameters.
"""

from pathlib import Path

from sagemaker_runtime import resources
from sagemaker_runtime.settings import Settings

# The platform's limit for the product of requests at a time and MB in each.
MOST_MB_AT_ONCE = 100


def execution_parameters(settings: Settings, root: Path = Path("/")) -> dict[str, int | str]:
    """
    Return as many requests at a time as there are workers and the memory has room for, and bodies
    as large as that leaves, which are few.
    """
    room = resources.workers_in(resources.memory_mb(root), settings.max_payload_mb)
    transforms = min(settings.workers, room, MOST_MB_AT_ONCE)
    return {
        "MaxConcurrentTransforms": transforms,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": min(settings.max_payload_mb, MOST_MB_AT_ONCE // transforms),
    }
