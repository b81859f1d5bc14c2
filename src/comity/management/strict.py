"""What is asked of bodies before they are read: of EDC's forms what v4 asks, of our own that every member is known.

EDC validates v4 bodies by JSON schemas before it reads them; this asks the same of the forms that EDC has, and names
the place. Whether a value makes sense is found out later, by the form's own module, for every version alike. EDC takes
members that it does not know; in our own forms one may be a term that was misspelt, and then nobody would be bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from comity import errors
from comity.management import names
from comity.management.forms import form as forms
from comity.management.forms.form import Form, Member

Document = dict[str, Any]


def check(known: Mapping[str, Form], name: str, body: Document, context: str) -> None:
    """Refuse a body that does not say that it is the form `name`, with `context`, or lacks what has to be there.

    `known` has every form by its name. A form that EDC does not have is not checked.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    if not known[name].types:
        return
    given = body.get("@context")
    if (
        not isinstance(given, list)
        or not all(isinstance(each, str) for each in given)
        or context not in given
    ):
        raise errors.InvalidInputError(
            f"@context must be a list of addresses with {context} among them",
            path="$.@context",
            hint="or use v3, which takes any context",
        )
    _check_form(known, known[name], body, "$")


def check_known(known: Mapping[str, Form], name: str, body: Document, path: str = "$") -> None:
    """Refuse a member that the form `name` does not have, however it is spelled; what begins with @ is JSON-LD's.

    Raises:
        InvalidInputError: with its place.
    """
    members = known[name].members
    for written, value in body.items():
        member = members.get(names.canonical(written))
        if member is None and not written.startswith("@"):
            raise errors.InvalidInputError(
                f"there is no member {written[:100]} here",
                path=f"{path}.{written[:100]}",
                hint=f"there is: {', '.join(members)}",
            )
        if member is not None and member.kind in known and isinstance(value, dict):
            check_known(known, member.kind, value, f"{path}.{written}")


def _check_form(known: Mapping[str, Form], form: Form, body: Document, path: str) -> None:
    if form.types and body.get("@type") not in form.types:
        raise errors.InvalidInputError(f"@type must be {' or '.join(form.types)}", path=f"{path}.@type")
    if form.identified and not isinstance(body.get("@id", ""), str):
        raise errors.InvalidInputError("@id must be a text", path=f"{path}.@id")
    if form.identified == forms.ALWAYS and "@id" not in body:
        raise errors.InvalidInputError("@id is missing", path=f"{path}.@id")
    for name, member in form.members.items():
        if name in body:
            _check_member(known, member, body[name], f"{path}.{name}")
        elif member.needed:
            raise errors.InvalidInputError(f"{name} is missing", path=f"{path}.{name}")
    given = [name for name in form.either if name in body]
    if form.either and len(given) != 1:
        wanted = " and ".join(form.either)
        raise errors.InvalidInputError(
            f"exactly one of {wanted} has to be there",
            path=f"{path}.{given[-1] if given else form.either[0]}",
        )


def _check_member(known: Mapping[str, Form], member: Member, value: Any, path: str) -> None:
    name, listed = forms.split(member.kind)
    if name not in known:
        if not _CHECKS[name](value):
            raise errors.InvalidInputError(f"this must be {_WANTED[name]}", path=path)
        return
    if listed != isinstance(value, list):
        raise errors.InvalidInputError(
            f"this must be {_WANTED['objects' if listed else 'object']}", path=path
        )
    for at, each in enumerate(value if listed else [value]):
        place = f"{path}[{at}]" if listed else path
        if not isinstance(each, dict):
            raise errors.InvalidInputError("this must be an object", path=place)
        _check_form(known, known[name], each, place)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "number": _is_number,
    "flag": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "texts": lambda value: _is_list_of(str, value),
    "objects": lambda value: _is_list_of(dict, value),
    "rules": lambda value: _is_list_of(dict, value) and bool(value),
    "any": lambda value: value is not None,
}
_WANTED = {
    "text": "a text",
    "number": "a number",
    "flag": "true or false",
    "object": "an object",
    "texts": "a list of texts",
    "objects": "a list of objects",
    "rules": "a list of rules that is not empty",
    "any": "a value",
}
