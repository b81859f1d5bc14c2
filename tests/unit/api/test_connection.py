"""Who gets a place when connections are many: the one that has waited longest for a request makes room."""

from __future__ import annotations

import pytest

from comity.api import connection


class Caller:
    """What `Places` sees of a connection."""

    def __init__(self, address: str) -> None:
        self.client = (address, 1)
        self.transport = self
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def arrive(places, address, *, waits=True):
    caller = Caller(address)
    assert places.enter(caller)
    if waits:
        places.wait(caller)
    return caller


def test_the_connection_that_has_waited_longest_makes_room():
    places = connection.Places(3, 3)
    callers = [arrive(places, f"10.0.0.{at}") for at in range(3)]
    arrive(places, "10.0.0.9")
    assert [each.aborted for each in callers] == [True, False, False]


def test_the_address_with_most_connections_makes_room_for_others():
    places = connection.Places(5, 5)
    one = arrive(places, "10.0.0.1")
    many = [arrive(places, "10.0.0.2") for _ in range(4)]
    arrive(places, "10.0.0.3")
    assert not one.aborted
    assert [each.aborted for each in many] == [True, False, False, False]


def test_an_address_has_so_many_and_no_more():
    places = connection.Places(100, 2)
    first = [arrive(places, "10.0.0.1", waits=False) for _ in range(2)]
    assert not places.enter(Caller("10.0.0.1"))
    arrive(places, "10.0.0.2")
    places.leave(first[0])
    arrive(places, "10.0.0.1")
    assert not first[1].aborted


def test_a_connection_with_a_request_is_never_dropped_for_another():
    places = connection.Places(2, 2)
    busy, waiting = arrive(places, "10.0.0.1", waits=False), arrive(places, "10.0.0.1")
    later = arrive(places, "10.0.0.1")
    assert (busy.aborted, waiting.aborted) == (False, True)
    places.work(later)
    assert not places.enter(Caller("10.0.0.1"))


def test_a_network_of_ipv6_is_one_address():
    places = connection.Places(100, 2)
    arrive(places, "2001:db8:1:1::1", waits=False)
    arrive(places, "2001:db8:1:1:ffff::2", waits=False)
    assert not places.enter(Caller("2001:db8:1:1::3"))
    arrive(places, "2001:db8:1:2::1")
    arrive(places, "fe80::1%eth0")


def test_callers_by_ipv4_at_a_listener_for_both_are_not_one_network():
    places = connection.Places(100, 1)
    arrive(places, "::ffff:10.0.0.1", waits=False)
    arrive(places, "::ffff:10.0.0.2", waits=False)
    for again in ("::ffff:10.0.0.1", "10.0.0.1"):
        assert not places.enter(Caller(again))


@pytest.mark.parametrize("waits", [True, False])
def test_nothing_is_kept_of_those_who_left(waits):
    places = connection.Places(10, 10)
    for at in range(50):
        caller = arrive(places, f"10.0.0.{at}", waits=waits)
        places.leave(caller)
        places.leave(caller)
        places.wait(caller)
    assert (places._open, places._of, places._waiting) == ({}, {}, {})
