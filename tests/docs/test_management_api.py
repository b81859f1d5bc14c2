"""The reference of the management API says what the table of endpoints says, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from comity.api import problems
from comity.api.management import endpoints, partners
from comity.management import offers, processes, query

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "management-api.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


ENDPOINTS = rows("Endpoints")


def test_every_endpoint_stands_in_it_in_the_order_of_the_table() -> None:
    written = [(method, path.strip("`")) for method, path, *_ in ENDPOINTS]
    assert written == [(method, f"{noun}/{rest}".rstrip("/")) for method, noun, rest in endpoints.ENDPOINTS]


@pytest.mark.parametrize(
    "row",
    list(zip(ENDPOINTS, endpoints.ENDPOINTS.values(), strict=True)),
    ids=lambda row: " ".join(row[0][:2]),
)
def test_the_answer_has_a_body_exactly_where_the_endpoint_returns_one(row) -> None:
    (_, _, _, answer, _), endpoint = row
    expected = "204" if endpoint.__annotations__["return"] == "None" else "200"
    assert answer.split()[0] == expected


def test_every_status_of_an_error_is_explained() -> None:
    explained = {int(status) for status, _ in rows("Errors")}
    assert explained == {status for _, status in problems.STATUSES} | {401}
    named = {int(status) for *_, errors in ENDPOINTS for status in errors.split()}
    assert named <= explained


def test_the_fields_of_queries_are_those_that_are_taken() -> None:
    written = {noun: re.findall(r"`([^`]+)`", fields) for noun, fields in rows("Queries")}
    assert written.pop("assets") == ["privateProperties.<name>", "createdAt"]
    assert written == {
        "policydefinitions": list(offers.DEFINITION_FIELDS),
        "contractdefinitions": list(offers.CONTRACT_FIELDS),
        "contractnegotiations": [*processes.NEGOTIATION_FIELDS, *processes.NEGOTIATION_ALIASES],
        "contractagreements": list(processes.AGREEMENT_FIELDS),
        "transferprocesses": [*processes.TRANSFER_FIELDS, *processes.TRANSFER_ALIASES],
        "exchanges": list(partners.EXCHANGE_FIELDS),
    }


def test_every_operator_is_named() -> None:
    section = TEXT.partition("Operators: ")[2].partition(". ")[0]
    assert re.findall(r"`([^`]+)`", section) == list(query.OPERATORS)
