"""The description of the data set is what the public validator takes, and holds every file by its hash."""

import copy
import logging
from typing import Any

import mlcroissant
import pytest

from failure_atlas.assurance.croissant import MOST_FILES, write_croissant

FILES = {"data/prepare_images/metrics.json": ("ab" * 32, 12), "data/prepare_images/images.zarr/0": ("cd" * 32, 7)}


def validate(held: dict[str, Any]) -> None:
    mlcroissant.Dataset(jsonld=held)


def test_the_public_validator_takes_it_and_refuses_a_spoilt_one(caplog: pytest.LogCaptureFixture) -> None:
    held = write_croissant("mnist-5k", "32 px", FILES)
    with caplog.at_level(logging.WARNING):
        validate(copy.deepcopy(held))
    assert "not standard" not in caplog.text
    assert "error(s)" not in caplog.text
    assert {each["@id"]: each["sha256"] for each in held["distribution"]} == {
        path: sha256 for path, (sha256, _) in FILES.items()
    }
    for key in ("sha256", "encodingFormat"):
        spoilt = copy.deepcopy(held)
        del spoilt["distribution"][0][key]
        with pytest.raises(mlcroissant.ValidationError):
            validate(spoilt)


def test_a_data_set_of_too_many_files_is_not_described() -> None:
    with pytest.raises(ValueError, match=f"{MOST_FILES + 1} files; at most {MOST_FILES} are described"):
        write_croissant("own", "", {str(place): ("ab" * 32, 1) for place in range(MOST_FILES + 1)})
