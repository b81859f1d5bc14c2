"""Draws the figures of a run as one picture: a panel a question, a bar a connector, on a scale of powers of ten."""

from __future__ import annotations

import math
from html import escape
from typing import Any

WIDTH, PANEL, BAR, LABEL, LINE = 860, 26, 16, 250, 22
COLORS = {"Comity": "#1f6f8b", "EDC": "#b9b3a6"}
Bar = tuple[str, float, str]


def draw(found: dict[str, Any]) -> str:
    """Return the picture as SVG."""
    panels = [(title, bars) for title, bars in _panels(found) if bars]
    height = 20 + sum(PANEL + LINE * len(bars) + 14 for _, bars in panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"',
        f'width="{WIDTH}" height="{height}" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    top = 10
    for title, bars in panels:
        parts.append(f'<text x="10" y="{top + 16}" font-weight="bold">{escape(title)}</text>')
        top += PANEL
        low = min(value for _, value, _ in bars) / 2
        span = math.log10(max(value for _, value, _ in bars) / low) or 1.0
        for label, value, shown in bars:
            long = (WIDTH - LABEL - 110) * math.log10(value / low) / span
            color = next((each for name, each in COLORS.items() if label.startswith(name)), "#888888")
            parts += [
                f'<text x="{LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(label)}</text>',
                f'<rect x="{LABEL}" y="{top}" width="{long:.1f}" height="{BAR}" fill="{color}"/>',
                f'<text x="{LABEL + long + 6:.1f}" y="{top + 13}">{escape(shown)}</text>',
            ]
            top += LINE
        top += 14
    return "\n".join([*parts, "</svg>\n"])


def _panels(found: dict[str, Any]) -> list[tuple[str, list[Bar]]]:
    rows = found.get("negotiations", [])
    starts = found.get("starts", [])
    return [
        (
            "Negotiations a second, 32 under way (more is better; scale of powers of ten)",
            _bars([row for row in rows if row["concurrency"] == 32], "rate", ""),  # noqa: PLR2004
        ),
        (
            "One negotiation alone, median (less is better)",
            _bars([row for row in rows if row["concurrency"] == 1], "p50_ms", " ms"),
        ),
        ("From start to ready (less is better)", _bars(starts, "ready_s", " s")),
        (
            "Resident memory after the load (less is better)",
            _bars(starts, "loaded_mib", " MiB"),
        ),
    ]


def _bars(rows: list[dict[str, Any]], name: str, unit: str) -> list[Bar]:
    """Return a bar for each row that has the figure: nothing was FINALIZED in time where it is none."""
    known = [(row["connector"], float(row[name])) for row in rows if row[name]]
    return [(label, value, f"{value:,.{0 if value >= 100 else 2}f}{unit}") for label, value in known]  # noqa: PLR2004
