import pytest

from comity.client import calls, getting, problems, watch
from comity.client.records import Exchange
from comity.client.steps import Pause


class Clock:
    """Takes the steps of an operation: pauses pass at once, requests are answered by what the test says."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.now_s = 0.0

    def run(self, flow):
        try:
            step = next(flow)
            while True:
                if isinstance(step, Pause):
                    self.now_s += step.seconds
                    step = flow.send(self.now_s)
                    continue
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                failed = isinstance(answer, Exception)
                step = flow.throw(answer) if failed else flow.send({"stage": answer})
        except StopIteration as end:
            return end.value


def follow(*answers, **options):
    told = []
    flow = watch.follow(calls.exchange("e"), told=lambda each: told.append(each.stage), **options)
    ended = Clock(*answers).run(flow)
    assert ended == {"stage": told[-1]}
    return told


AWAY = problems.UnreachableError("away")


@pytest.mark.parametrize("end", ["COMPLETED", "FAILED"])
def test_watching_ends_with_the_exchange(end):
    assert follow("NEGOTIATING", "PULLING", end) == ["NEGOTIATING", "PULLING", end]


def test_restart_of_the_connector_is_waited_for():
    assert follow("PULLING", AWAY, AWAY, "COMPLETED") == ["PULLING", "COMPLETED"]


def test_connector_that_stays_away_ends_the_watching():
    with pytest.raises(problems.UnreachableError):
        follow("PULLING", AWAY, patience_s=1.0)


def test_patience_begins_anew_with_every_answer():
    away = [AWAY, AWAY, "PULLING"] * 5
    assert follow(*away, "COMPLETED", patience_s=2 * watch.INTERVAL_S)[-1] == "COMPLETED"


def test_time_limit_ends_the_watching_and_not_the_work():
    with pytest.raises(watch.UnfinishedError, match="not finished after 3 s"):
        follow("NEGOTIATING", timeout_s=3)


def test_time_limit_does_not_hide_an_end_that_was_reached():
    assert follow("COMPLETED", timeout_s=0) == ["COMPLETED"]


def test_watching_may_end_before_the_exchange_does():
    assert follow("NEGOTIATING", "PULLING", ended=lambda each: each.stage == "PULLING") == [
        "NEGOTIATING",
        "PULLING",
    ]


def test_an_exchange_is_followed_by_its_id():
    step = next(flow := getting.follow("urn:e", told=lambda _: None))
    assert isinstance(step, Pause)
    assert flow.send(0.0).path == "exchanges/urn%3Ae"
    assert isinstance(Exchange(), dict)
