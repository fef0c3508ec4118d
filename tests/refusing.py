"""What a call must refuse, in one line."""

import pytest

from failure_atlas.core.errors import StageError


def refused(message, call, *arguments, error=StageError, **options):
    """Check that a call ends in an error of one line that matches a message (empty: any), and return the line."""
    with pytest.raises(error, match=message or None) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
