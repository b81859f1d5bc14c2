import io

from rich.console import Console

from comity.cli import progress

PULLING = {
    "stage": "PULLING",
    "filesDone": 3,
    "filesTotal": 12,
    "bytesDone": 500_000_000,
    "bytesTotal": 2_000_000_000,
}


def terminal(**options):
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None, **options)


def test_bar_shows_bytes_files_and_stage_within_80_columns():
    console = terminal()
    with progress.Story(console, str) as story:
        story.tell(PULLING)
        lines = console.render_lines(story._bar.get_renderable(), pad=False)
        shown = "".join(segment.text for segment in lines[0])
    assert len(lines) == 1
    assert "pulling" in shown
    assert "0.5/2.0 GB" in shown
    assert "3/12 files" in shown
    assert len(shown) <= 80


def test_bar_is_gone_at_the_end_and_the_lines_stay():
    console = terminal()
    with progress.Story(console, str) as story:
        story.tell(PULLING)
    written = console.file.getvalue()
    assert "pulling      12 files, 2.0 GB" in written
    assert written.endswith("\x1b[2K") or "\x1b[1A\x1b[2K" in written


def test_quiet_story_writes_nothing():
    console = terminal()
    with progress.Story(console, str, quiet=True) as story:
        story.tell(PULLING)
        story.end(PULLING, seconds=1)
    assert console.file.getvalue() == ""


def test_reason_of_a_partner_is_told_without_its_control_characters():
    console = Console(file=io.StringIO(), width=80)
    progress.Story(console, str).tell({**PULLING, "error": "\x1b[2Jgone [red]"})
    assert "waiting      ?[2Jgone [red]; it is tried again\n" in console.file.getvalue()


def test_nothing_is_shown_of_an_amount_that_is_not_known():
    console = terminal()
    with progress.Story(console, str) as story:
        story.tell({"stage": "NEGOTIATING", "negotiationId": "n"})
        before = "".join(
            segment.text for segment in console.render_lines(story._bar.get_renderable(), pad=False)[0]
        )
        story.tell({**PULLING, "filesTotal": 0})
    assert before.strip().endswith("negotiating")
    assert "pulling      2.0 GB" in console.file.getvalue()


def test_joined_exchange_that_is_agreed_is_not_told_to_be_negotiating():
    console = terminal()
    progress.Story(console, str).tell({**PULLING, "negotiationId": "n", "agreementId": "urn:uuid:a"})
    assert "negotiating" not in console.file.getvalue()
    assert "agreed       a" in console.file.getvalue()


def test_agreement_that_was_there_before_is_said_to_be_in_force():
    console = terminal()
    progress.Story(console, str).tell({**PULLING, "agreementId": "urn:uuid:a"})
    assert "agreed       a, in force already\n" in console.file.getvalue()


def test_whom_here_it_waits_for_is_told_once():
    console = Console(file=io.StringIO(), width=80)
    story = progress.Story(console, str)
    for _ in range(2):
        story.tell({"stage": "NEGOTIATING", "waitsFor": "waits for 1 more approval by anna until noon"})
    said = "waiting      for 1 more approval by anna until noon; they see it with: comity approvals list\n"
    assert console.file.getvalue() == said
