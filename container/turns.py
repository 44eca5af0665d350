"""
The event loop's turns: a caller who was just answered waits for those who have waited longer.

A connection that has its next request already there is read on at once, without a look at the
others. They would wait for as long as their neighbours are quick: one of 16 callers of a model that
takes 10 ms waited for a second.
"""

import gevent


def take_turns() -> None:
    """
    Let this greenlet, which belongs to a connection, have one request in each turn of the loop.
    """
    loop, connection = gevent.get_hub().loop, gevent.getcurrent()
    if getattr(connection, "turn", None) == loop.iteration:
        let_others_in()
    connection.turn = loop.iteration


def let_others_in() -> None:
    """
    Return when all requests that have arrived were read. ``gevent.sleep(0)`` lets those run only
    that were read before.
    """
    hub = gevent.get_hub()
    # Of the lowest priority: after whatever else the loop found.
    with hub.loop.timer(0, priority=hub.loop.MINPRI) as turn:
        hub.wait(turn)
