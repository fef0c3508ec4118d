"""One package per DVC stage; each is run as `python -m stages.NAME`."""

import stages.common.settings  # noqa: F401  before any library
