"""The reference of the management API says what the table of endpoints says, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from comity.api import problems
from comity.api.management import endpoints, openapi, partners, unversioned
from comity.controlplane import catalogs
from comity.management import (
    approvals,
    deletions,
    edrs,
    inquiries,
    offers,
    processes,
    query,
    readings,
    retirements,
    versions,
)

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


@pytest.mark.parametrize("key", endpoints.ENDPOINTS, ids=" ".join)
def test_a_row_says_role_answer_and_errors_as_the_table_does(key) -> None:
    method, noun, rest = key
    row = endpoints.ENDPOINTS[key]
    written = [each for each in ENDPOINTS if each[:2] == [method, f"`{f'{noun}/{rest}'.rstrip('/')}`"]]
    assert len(written) == 1
    _, _, role, body, answer, errors = written[0]
    assert role == row.role
    assert (body == "-") == (not row.takes and not row.parameters)
    assert answer.split()[0] == ("200" if row.gives else "204")
    assert errors == row.errors


@pytest.mark.parametrize("key", endpoints.ENDPOINTS, ids=" ".join)
def test_the_answer_has_a_body_exactly_where_the_endpoint_returns_one(key) -> None:
    row = endpoints.ENDPOINTS[key]
    assert bool(row.gives) == (row.run.__annotations__["return"] != "None")


def test_every_version_is_named_with_its_other_names() -> None:
    written = {
        name.strip("`"): {each.strip("`") for each in others.split()} for name, others, *_ in rows("Versions")
    }
    assert written == {
        version.name: {
            segment
            for segment, meant in versions.SEGMENTS.items()
            if meant is version and segment != version.name
        }
        for version in versions.VERSIONS
    }


def test_what_not_every_version_has_is_named() -> None:
    section = TEXT.partition("\n## Versions\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"only in (v[0-9]): `([^`]+)`", section))
    assert named == {
        (version, f"{noun}/{rest}".rstrip("/"))
        for (_, noun, rest), row in endpoints.ENDPOINTS.items()
        for version in row.versions or ()
    }


def test_every_endpoint_that_needs_no_key_is_named() -> None:
    written = [path.strip("`") for path, *_ in rows("Without a key")]
    assert written == list(unversioned.OPEN)


def test_every_creation_takes_an_idempotency_key() -> None:
    section = TEXT.partition("\n## Once only\n")[2].partition("\n## ")[0]
    named = re.findall(r"`([a-z/]+)`", section.partition("Taken by: ")[2].partition(". ")[0])
    assert named == [
        f"{noun}/{rest}".rstrip("/") for (_, noun, rest), row in endpoints.ENDPOINTS.items() if row.creates
    ]


def test_every_status_of_an_error_is_explained() -> None:
    explained = {int(status) for status, _ in rows("Errors")}
    assert explained == {status for _, status in problems.STATUSES} | {401} == set(openapi.MEANINGS)
    named = {int(status) for *_, errors in ENDPOINTS for status in errors.split()}
    assert named <= explained


def test_the_fields_of_queries_are_those_that_are_taken() -> None:
    written = {noun: re.findall(r"`([^`]+)`", fields) for noun, fields in rows("Queries")}
    assert written.pop("assets") == ["privateProperties.<name>", "createdAt"]
    assert written == {
        "policydefinitions": list(offers.DEFINITION_FIELDS),
        "contractdefinitions": list(offers.CONTRACT_FIELDS),
        "approvals": list(approvals.FIELDS),
        "contractnegotiations": [*processes.NEGOTIATION_FIELDS, *processes.NEGOTIATION_ALIASES],
        "contractagreements": list(processes.AGREEMENT_FIELDS),
        "transferprocesses": [*processes.TRANSFER_FIELDS, *processes.TRANSFER_ALIASES],
        "contractagreements/retirements": [
            *retirements.FIELDS,
            *(each for each in retirements.ALIASES if not each.startswith(retirements.TX)),
        ],
        "edrs": [*edrs.FIELDS, *edrs.ALIASES],
        "catalogs": [*catalogs.FIELDS, *catalogs.ALIASES],
        "deletions": list(deletions.DELETION_FIELDS),
        "receipts": list(deletions.RECEIPT_FIELDS),
        "inquiries": list(inquiries.FIELDS),
        "readings": list(readings.FIELDS),
        "exchanges": list(partners.EXCHANGE_FIELDS),
    }


def test_every_operator_is_named() -> None:
    section = TEXT.partition("Operators: ")[2].partition(". ")[0]
    assert re.findall(r"`([^`]+)`", section) == list(query.OPERATORS)
