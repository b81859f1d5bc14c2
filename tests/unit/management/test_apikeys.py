"""API keys on the wire."""

import pytest

from comity.errors import InvalidInputError
from comity.management import apikeys, roles

NOW = 1_767_225_600_000


@pytest.mark.parametrize("role", roles.ROLES)
def test_a_key_has_a_name_and_a_role(role):
    form = apikeys.decode({"name": "ci", "role": role, "expiresAt": None}, now_ms=NOW)
    assert (form.name, form.role, form.expires_at) == ("ci", role, None)


@pytest.mark.parametrize(
    "expires_at", [NOW, NOW - 1, 0, -1, 1.5 * NOW, str(NOW + 1), True, apikeys.LATEST_MS, []]
)
def test_an_end_that_is_none_or_over_is_refused(expires_at):
    with pytest.raises(InvalidInputError) as caught:
        apikeys.decode({"name": "ci", "role": "viewer", "expiresAt": expires_at}, now_ms=NOW)
    assert caught.value.path == "$.expiresAt"


def test_an_end_may_be_the_next_moment():
    form = apikeys.decode({"name": "ci", "role": "viewer", "expiresAt": NOW + 1}, now_ms=NOW)
    assert form.expires_at == NOW + 1


def test_a_key_is_shown_with_itself_only_when_it_was_made():
    listed = apikeys.encode("ci", role="viewer", expires_at=None, created_at=NOW)
    assert "key" not in listed
    assert "expiresAt" not in listed
    made = apikeys.encode("ci", role="viewer", expires_at=NOW + 1, created_at=NOW, secret="s")
    assert (made["key"], made["expiresAt"]) == ("s", NOW + 1)
