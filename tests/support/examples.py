"""Examples of a page: its blocks of Python in turn, in one namespace, and what they print beside what stands there."""

from __future__ import annotations

import ast
import contextlib
import doctest
import inspect
import io
import re
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
ALLOWED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


async def run(page: Path, namespace: dict[str, Any]) -> None:
    """Run the examples of a page as a notebook does, and compare what they print."""
    wrong = []
    for found in BLOCK.finditer(page.read_text()):
        source, expected = found[1], found[2]
        line = page.read_text()[: found.start()].count("\n") + 1
        said = io.StringIO()
        code = compile(
            "\n" * line + source, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        with contextlib.redirect_stdout(said):
            going = eval(code, namespace)
            if inspect.isawaitable(going):
                await going
        if not doctest.OutputChecker().check_output(expected or "", said.getvalue(), ALLOWED):
            wrong.append((line, expected, said.getvalue()))
    assert not wrong, "\n".join(
        f"line {line}: {said!r} is not {expected!r}" for line, expected, said in wrong
    )
