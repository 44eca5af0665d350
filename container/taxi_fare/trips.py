"""
What a trip's values may be, one decision for training rows and for requests.
"""

from typing import Any

import numpy as np

# A cab seats four, a van five, and a child may ride on a lap. 0 is left as it is: drivers do
# send it, and it says something about the driver.
MOST_PASSENGERS = 6
USUAL_PASSENGERS = 1.0

# A recorder whose clock was never set says 2001, one that lost it 2041 or 2084.
FIRST_PICKUP = np.datetime64("2008-01-01", "s")
END_OF_PICKUPS = np.datetime64("2031-01-01", "s")
NAT = -(2**63)  # the integer that numpy's missing time is
FIRST_SECOND, END_SECOND = (int(t.astype(np.int64)) for t in (FIRST_PICKUP, END_OF_PICKUPS))


def usual_passengers(passengers: Any, xp: Any = np) -> Any:
    """
    Return the numbers of passengers, the usual one where a number is missing or impossible.
    """
    possible = (passengers >= 0) & (passengers <= MOST_PASSENGERS)
    return xp.where(possible, passengers, USUAL_PASSENGERS)


def has_no_clock(seconds: Any) -> Any:
    """
    Tell which times of pick-up, in seconds since 1970, the recorder's clock cannot have meant; one
    that is missing, NAT, is not among them.
    """
    return (seconds != NAT) & ((seconds < FIRST_SECOND) | (seconds >= END_SECOND))
