"""How many stages run at once."""

from typing import Annotated

import typer

# A third of a short stage is start-up of Python and DVC's bookkeeping, which use one core: the other works meanwhile.
AT_ONCE = 2

MaxWorkersOption = Annotated[
    int, typer.Option("--max-workers", min=1, help="Stages at once; each one may use all cores, so more gain little.")
]
