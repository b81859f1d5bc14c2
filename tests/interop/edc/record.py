"""What is kept of a run: the table of checks, sequence diagrams, and EDC's messages without hosts or paths.

The messages are what regression tests read that run without Java (`tests/pair/edc_messages`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interop.edc import drawing
from interop.edc.checks import Check, Checks
from interop.edc.relay import Crossing
from interop.edc.world import EDC_ASSET, OUR_FILE, World

VARIES = re.compile(r", signed \S+| [0-9a-f]{16}\.\.\.")
"""What is another in each run."""
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DRAWN = {
    "Negotiation, Comity as consumer": f"negotiation {EDC_ASSET}",
    "Negotiation, Comity as provider": f"negotiation {OUR_FILE}",
    "A counter-offer that EDC leaves OFFERED": "offered by True",
    "A refused negotiation": "negotiation refused",
    "Pull of Comity's data, suspended and resumed by both, terminated by EDC": "pull",
    "Push of EDC's data, received into a folder": "push folder",
    "Pull of EDC's data: its start fails": "pull of EDC",
}


def write(world: World, checks: Checks, folder: Path) -> None:
    """Write what is kept of a run below `folder`."""
    target = folder / world.version
    target.mkdir(parents=True, exist_ok=True)
    (target / "checks.json").write_text(
        json.dumps([[each.name, each.holds, each.seen] for each in checks.done], indent=1)
    )
    (target / "diagrams.txt").write_text(diagrams(world))
    (target / "wire.json").write_text(json.dumps([_kept(each) for each in world.capture.crossings], indent=1))
    (target / "messages.json").write_text(json.dumps(messages(world), indent=1) + "\n")


def write_table(runs: Sequence[Checks], folder: Path) -> None:
    """Write the checks of all runs as one Markdown table; what differs from the last run's is said."""
    seen = [{each.name: each for each in run.done} for run in runs]
    lines = [f"| check | {' | '.join(run.label for run in runs)} |", "|---" * (len(runs) + 1) + "|"]
    for name, last in seen[-1].items():
        held = [run.get(name) for run in seen[:-1]]
        cells = [_cell(each, last) if each else "not run" for each in held]
        lines.append(f"| {name} | {' | '.join([*cells, _cell(last, None)])} |")
    (folder / "table.md").write_text("\n".join(lines) + "\n")


def _cell(check: Check, other: Check | None) -> str:
    told = VARIES.sub("", check.seen).replace("|", "\\|")
    same = other is not None and told == VARIES.sub("", other.seen).replace("|", "\\|")
    return ("" if check.holds else "**failed** ") + ("the same" if same else told)


def diagrams(world: World) -> str:
    """Return every diagram with its title."""
    drawn = []
    for title, name in DRAWN.items():
        if pids := world.known.get(name):
            once = [each for each in world.crossings(*pids.split()) if not each.repeated]
            picture = drawing.draw(once, "Comity", "EDC")
            drawn.append(f"{title}\n\n{picture}\n")
    return "\n".join(drawn)


def messages(world: World) -> dict[str, Any]:
    """Return what EDC says: each kind of message, and each kind of answer with its status, the first of each."""
    found: dict[str, Any] = {}
    for each in world.capture.crossings:
        if each.sender == "EDC" and isinstance(each.message, dict):
            found.setdefault(drawing.label(each), plain(each.message))
        elif each.sender == "Comity" and isinstance(each.answered, dict):
            asked = drawing.label(each)
            found.setdefault(f"answer {each.status} to {asked}", plain(each.answered))
    return _numbered(found)


def _numbered(found: dict[str, Any]) -> dict[str, Any]:
    """Return documents with numbers in the place of ids, so that two runs give the same."""
    text = json.dumps(found)
    for number, name in enumerate(dict.fromkeys(UUID.findall(text)), 1):
        text = text.replace(name, f"00000000-0000-4000-8000-{number:012}")
    numbered: dict[str, Any] = json.loads(text)
    return numbered


def _kept(crossing: Crossing) -> dict[str, Any]:
    return {
        "sender": crossing.sender,
        "request": f"{crossing.method} {crossing.path}",
        "message": plain(crossing.message),
        "status": crossing.status,
        "answer": plain(crossing.answered),
    }


def plain(document: Any) -> Any:
    """Return a document with examples in the place of this machine's addresses."""
    text = json.dumps(document)
    text = re.sub(r"http://127\.0\.0\.1:\d+/protocol", "https://edc.example/protocol", text)
    text = re.sub(r"http://127\.0\.0\.1:\d+/dsp", "https://comity.example/dsp", text)
    text = re.sub(r"http://127\.0\.0\.1:\d+", "https://data.example", text)
    return json.loads(text)
