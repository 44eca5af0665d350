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


def usual_passengers(passengers: Any, xp: Any = np) -> Any:
    """
    Return the numbers of passengers, the usual one where a number is missing or impossible.
    """
    possible = (passengers >= 0) & (passengers <= MOST_PASSENGERS)
    return xp.where(possible, passengers, USUAL_PASSENGERS)


def has_no_clock(pickup: np.ndarray) -> np.ndarray:
    """
    Tell which times of pick-up the recorder's clock cannot have meant.
    """
    return (pickup < FIRST_PICKUP) | (pickup >= END_OF_PICKUPS)
