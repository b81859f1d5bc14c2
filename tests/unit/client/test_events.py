"""Following events: a stream is read, and taken up again where it broke."""

import json

import pytest

from comity import errors
from comity.client import connector as connectors
from comity.client import events, problems
from unit.client.standin import KEY

STREAM = ("GET", "events")


class Clock:
    """Time that passes in sleeps, which end the following after some of them."""

    def __init__(self, sleeps):
        self.now_s = 0.0
        self.left = sleeps

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds
        self.left -= 1
        if self.left < 0:
            raise StopFollowing


class StopFollowing(Exception):  # noqa: N818  it is no error
    pass


def event(place):
    return b"id: %d\ndata: %b\n\n" % (place, json.dumps({"id": f"urn:{place}"}).encode())


def followed(address, *, sleeps=0, after=None, **more):
    clock, found = Clock(sleeps), []
    stream = events.follow(
        connectors.Connector(address, KEY), after=after, clock_s=clock, sleep=clock.sleep, **more
    )
    with pytest.raises(StopFollowing):
        found.extend(each["id"] for each in _keep(stream, found))
    return found


def _keep(stream, found):
    for each in stream:
        found.append(each["id"])
    yield from ()


def asked(api):
    return [headers.get("Last-Event-ID") for _, _, _, headers in api.asked]


def test_events_are_yielded_and_heartbeats_are_not(api):
    api.says(*STREAM, b"retry: 2000\nid: 3\n\n" + event(4) + b":\nid: 9\n\n" + event(10))
    assert followed(api.address) == ["urn:4", "urn:10"]
    headers = api.asked[0][3]
    assert headers["Accept"] == "text/event-stream"
    assert headers["X-Api-Key"] == KEY
    assert "Last-Event-ID" not in headers


def test_a_stream_that_broke_goes_on_after_the_last_whole_event(api):
    api.says(*STREAM, event(4) + b"id: 5\ndata: {", b":\nid: 8\n\n", event(9))
    assert followed(api.address, sleeps=2, after=3) == ["urn:4", "urn:9"]
    assert asked(api) == ["3", "4", "8"]


def test_filters_are_asked_for_again_after_a_break(api):
    path = "events?processId=urn%3Ax&types=asset%2Ctransfer"
    api.says("GET", path, event(1), event(2))
    found = followed(api.address, sleeps=1, process_id="urn:x", types=("asset", "transfer"))
    assert found == ["urn:1", "urn:2"]


def test_what_the_connector_refuses_ends_the_following(api):
    api.fails(*STREAM, 404, "not-found", "the events after 3 are not kept any more; the oldest is 9")
    with pytest.raises(errors.NotFoundError, match="not kept any more"):
        followed(api.address, after=3)


def test_a_connector_that_is_away_is_waited_for_but_not_for_ever():
    clock = Clock(100)
    stream = events.follow(
        connectors.Connector("http://127.0.0.1:1", KEY), after=None, clock_s=clock, sleep=clock.sleep
    )
    with pytest.raises(problems.UnreachableError):
        next(stream)
    assert events.PATIENCE_S < clock.now_s <= events.PATIENCE_S + 2 * events.AGAIN_S


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_of_a_stream_are_read_in_any_form_of_the_standard(end):
    lines = [b"id: 1" + end, b"data:{}" + end, end, b": comment" + end, b"event: x" + end, b"id:2" + end, end]
    assert list(events.parse(lines)) == [(1, {}), (2, None)]
