"""
Whether a process of this container still runs.
"""

import os


def is_alive(process: int) -> bool:
    """
    Tell whether there is a process with this id, whoever's it is.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
