"""XML that comes from outside, read into plain trees: no document types, no entities, no end of names or depth.

Whatever makes XML dangerous needs a document type: entities that unfold into gigabytes, or name files and hosts. None
of the formats read here has one, so the first sign of one ends the reading. Size, depth and number of elements are
bounded before anything is built. Pure: bytes in, a tree out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from xml.parsers import expat

from comity.errors import InvalidInputError

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_ELEMENTS: Final = 300_000
MAX_DEPTH: Final = 100
MAX_ATTRIBUTES: Final = 600_000


class Element:
    """An element: its namespace and local name, its attributes without namespaces, its children, the text in it."""

    __slots__ = ("attributes", "children", "name", "namespace", "text")

    def __init__(self, namespace: str, name: str, attributes: dict[str, str]) -> None:
        self.namespace = namespace
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.text = ""

    def find(self, name: str) -> Iterator[Element]:
        """Yield the children with a local name."""
        return (each for each in self.children if each.name == name)


def read(data: bytes, what: str) -> Element:
    """Read a document; `what` names it in errors.

    Raises:
        InvalidInputError: it is too large or too deep, has a document type, or is no XML.
    """
    if len(data) > MAX_BYTES:
        raise _refused(what, f"it has more than {MAX_BYTES >> 20} MiB")
    if data.count(b"=") > MAX_ATTRIBUTES:  # the parser gives all of an element's at once
        raise _refused(what, f"it may have more than {MAX_ATTRIBUTES} attributes")
    tree = _Tree(what)
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = tree.refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = tree.start, tree.end
    parser.CharacterDataHandler = tree.characters
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise _refused(what, str(error)) from None
    return tree.root.children[0]


class _Tree:
    def __init__(self, what: str) -> None:
        self.root = Element("", "", {})
        self._open = [self.root]
        self._texts: list[list[str]] = [[]]
        self._elements = 0
        self._what = what

    def refuse_doctype(self, *_: Any) -> None:
        raise _refused(self._what, "it has a document type (DOCTYPE), which could name entities")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._open) > MAX_DEPTH:
            raise _refused(
                self._what,
                f"it has more than {MAX_ELEMENTS} elements, or more than {MAX_DEPTH} in each other",
            )
        namespace, _, local = name.rpartition("}")
        made = Element(namespace, local, {key.rpartition("}")[2]: value for key, value in attributes.items()})
        self._open[-1].children.append(made)
        self._open.append(made)
        self._texts.append([])

    def end(self, _: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def characters(self, text: str) -> None:
        self._texts[-1].append(text)


def _refused(what: str, why: str) -> InvalidInputError:
    return InvalidInputError(f"{what} is not read: {why}")
