"""A user's settings of libraries stay out of results: `stages` imports this before any library could read them.

Files of settings that cannot be kept from being read are undone where the library is: `figures`, `arrays`.
"""

import os

DROPPED = ("BLOSC_", "MATPLOTLIBRC", "MPLBACKEND", "PANDAS_", "SCIPY_ARRAY_API", "SKLEARN_", "ZARR_")

for name in [name for name in os.environ if name.startswith(DROPPED)]:
    del os.environ[name]
os.environ["MATPLOTLIBRC"] = os.devnull  # in place of a matplotlibrc in the user's folders, which may not even be text
