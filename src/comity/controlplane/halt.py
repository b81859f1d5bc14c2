"""Whether anything new may proceed: not while no time stamp came for longer than the operator allows.

What is under way waits, and goes on by itself: whoever asks is answered as if the store were away. `stamping` decides.
"""

from __future__ import annotations

from comity import errors


class Halt:
    """Why nothing new proceeds now; empty if it does."""

    def __init__(self) -> None:
        self.reason = ""

    def check(self) -> None:
        """Do nothing, if new things may proceed.

        Raises:
            UnstampedError: they may not.
        """
        if self.reason:
            raise errors.UnstampedError(
                self.reason, hint="it goes on by itself when the authority answers again"
            )
