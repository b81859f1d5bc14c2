"""The order of the roles."""

import pytest

from comity.management.roles import ADMIN, OPERATOR, VIEWER, suffices


@pytest.mark.parametrize(
    ("role", "may"),
    [(VIEWER, {VIEWER}), (OPERATOR, {VIEWER, OPERATOR}), (ADMIN, {VIEWER, OPERATOR, ADMIN})],
)
def test_a_role_may_what_the_ones_before_it_may(role, may):
    assert {needed for needed in (VIEWER, OPERATOR, ADMIN) if suffices(role, needed)} == may
