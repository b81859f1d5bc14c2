import pytest

from comity.client import problems, watch


class Connector:
    def __init__(self, *answers):
        self.answers = list(answers)

    def exchange(self, _):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"stage": answer}


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


def follow(*answers, **options):
    clock = Clock()
    return [
        each["stage"]
        for each in watch.watch(Connector(*answers), "e", clock_s=clock, sleep=clock.sleep, **options)
    ]


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
