import pytest

from comity import errors
from comity.cli.watch import AGAIN_S, Watching
from comity.client import problems
from comity.storage.drop import State

DONE = {"revision": 2, "assetId": "p", "files": 1, "sizeBytes": 5, "manifestSha256": "ab" * 32}


class Folder:
    """What `comity watch` does with the states of a folder; a second passes between two looks."""

    def __init__(self, *answers, stable_s=3.0):
        self.published = 0
        self.said = []
        self.pauses = []
        self._answers = list(answers)
        self._now_s = 0.0
        self.busy = ""
        self._watching = Watching(self._publish, lambda: self.busy, stable_s=stable_s, say=self.said.append)

    def _publish(self):
        self.published += 1
        answer = (
            self._answers.pop(0) if len(self._answers) > 1 else self._answers[0] if self._answers else DONE
        )
        if isinstance(answer, Exception):
            raise answer
        return answer

    def looks(self, *marks, times=1):
        for mark in marks * times:
            self._now_s += 1
            found = None if mark is None else State(mark, 0 if mark == "empty" else 1)
            self.pauses.append(self._watching.look(found, self._now_s))

    def later(self, seconds):
        self._now_s += seconds


def test_a_state_is_published_once_when_it_has_stayed():
    folder = Folder()
    folder.looks("a", times=3)
    assert folder.published == 0
    folder.looks("a", times=20)
    assert folder.published == 1
    assert folder.said == [f"published revision 2 of p: 1 file, 5 B, manifest {'ab' * 32}"]


def test_a_slow_copy_is_waited_for_however_long_it_takes():
    folder = Folder()
    folder.looks(*[f"size {size}" for size in range(100)])
    assert folder.published == 0
    folder.looks("whole", times=5)
    assert folder.published == 1


def test_a_file_that_is_not_finished_keeps_everything_waiting():
    folder = Folder()
    folder.busy = "housing.stp.part"
    folder.looks("a", times=20)
    assert folder.published == 0
    assert folder.said == ["housing.stp.part is not finished"]
    folder.busy = ""
    folder.looks("a", times=4)
    assert folder.published == 1


def test_a_folder_that_is_swapped_by_renaming_is_published_when_the_new_one_is_there():
    folder = Folder()
    folder.looks("a", times=5)
    folder.looks(None)
    folder.looks("b", times=5)
    assert folder.published == 2
    assert "the folder is not there" in folder.said


def test_an_empty_folder_is_nothing_to_publish():
    folder = Folder()
    folder.looks("empty", times=20)
    assert (folder.published, folder.said) == (0, ["the folder is empty"])


def test_what_lies_there_after_a_restart_is_said_and_not_published_twice():
    folder = Folder({**DONE, "unchanged": True})
    folder.looks("a", times=20)
    assert folder.said == ["revision 2 of p is what lies there"]


def test_a_connector_that_is_away_is_asked_again_and_less_often():
    away = problems.UnreachableError("cannot be reached")
    folder = Folder(away, away, away, DONE)
    folder.looks("a", times=8)
    assert [pause for pause in folder.pauses if pause] == [2.0, 4.0, 8.0]
    assert folder.said[0] == "cannot be reached; it is tried again"
    assert folder.said[1].startswith("published revision 2")
    assert len(folder.said) == 2


def test_a_folder_that_changed_while_it_was_hashed_has_to_come_to_rest_again():
    changed = errors.StorageError("changed")
    changed.code = problems.CHANGED
    folder = Folder(changed, DONE)
    folder.looks("a", times=4)
    assert folder.said == ["it changed while it was hashed; waiting until it is at rest"]
    folder.looks("b", times=3)
    assert folder.published == 1
    folder.looks("b")
    assert folder.published == 2


def test_what_is_refused_is_said_once_and_tried_when_it_changes_or_after_minutes():
    folder = Folder(errors.InvalidInputError("a bad name", hint="rename it"))
    folder.looks("a", times=30)
    assert (folder.published, folder.said) == (1, ["not published: a bad name; rename it"])
    folder.looks("b", times=4)
    assert folder.published == 2
    folder.later(AGAIN_S)
    folder.looks("b")
    assert folder.published == 3


@pytest.mark.parametrize("options", [[], ["--id", "bracket-17"]])
def test_a_folder_that_was_never_published_is_not_watched(comity, api, tmp_path, options):
    api.says("POST", "assets/request", [])
    done = comity("watch", str(tmp_path), *options)
    assert done.code == 5
    assert done.err.startswith(f"error: {tmp_path} is not published yet\nhint: publish it once")
    asked = [each["filterExpression"][0] for each in api.bodies("POST", "assets/request")]
    assert asked[-1]["operandRight"] == (["bracket-17"] if options else [str(tmp_path), str(tmp_path)])


def test_a_folder_of_which_that_is_heard_later_is_not_watched_any_more():
    folder = Folder(errors.NotFoundError("not published yet"))
    with pytest.raises(errors.NotFoundError):
        folder.looks("a", times=4)


@pytest.mark.parametrize("options", [["--stable", "-1"], ["--every", "0"]])
def test_times_that_make_no_sense_are_refused(comity, tmp_path, options):
    assert comity("watch", str(tmp_path), *options).code == 2
