"""The forms of bodies, answers and query parameters of the management API by their names; `form` says what one is.

The table of endpoints names them; the strict check of v4, the OpenAPI document and the page are made from them.
"""

from __future__ import annotations

from comity.management.forms import answers, bodies, data, extended, own, revisions

OWN = {**own.BODIES, **revisions.BODIES}
"""The bodies that are ours alone: of these every member is known."""
BODIES = {**bodies.BODIES, **extended.BODIES, **OWN}
ANSWERS = {**answers.ANSWERS, **data.ANSWERS, **extended.ANSWERS, **revisions.ANSWERS}
PARAMETERS = bodies.PARAMETERS
