"""The data set of a run as Croissant 1.0 (https://docs.mlcommons.org/croissant/): what it is and each file by its hash.

No date and no licence: a run knows neither of the images that it was given. Records are not described, for the store of
images is Zarr, whose layout Croissant has no words for yet.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTEXT = Path(__file__).with_name("croissant_context.json")  # as the format asks for it, word by word
CONFORMS = "http://mlcommons.org/croissant/1.0"
KINDS = {".json": "application/json", ".csv": "text/csv", ".png": "image/png"}
MOST_FILES = 2000


def write_croissant(name: str, description: str, files: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    """The JSON-LD.  files: SHA-256 and size in bytes by path in the project, at most MOST_FILES, else ValueError."""
    if len(files) > MOST_FILES:
        raise ValueError(f"data/prepare_images: {len(files)} files; at most {MOST_FILES} are described")
    described = [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            "contentSize": f"{size} B",
            "encodingFormat": KINDS.get(Path(path).suffix, "application/octet-stream"),
            "sha256": sha256,
        }
        for path, (sha256, size) in sorted(files.items())
    ]
    return {
        "@context": json.loads(CONTEXT.read_text(encoding="utf-8")),
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": name,
        "description": description,
        "distribution": described,
    }
