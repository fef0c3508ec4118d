"""Each wrong way is told in one line, and docs/classifiers.md shows the line as it is printed."""

import os

from tests.house import ROOT
from tests.stages.bring_classifiers.wrong_ways import WAYS, find_table, message_of, table_of

WRITE = "WRITE_WRONG_WAYS"  # set in the environment: the table is written anew instead


def test_the_table_of_contributing_is_what_the_stage_says(tmp_path, tiny_images, digits, monkeypatch):
    stores, messages = {"bars": tiny_images, "digits": digits}, {}
    for index, way in enumerate(WAYS):
        (tmp_path / str(index)).mkdir()
        monkeypatch.chdir(tmp_path / str(index))
        messages[way.name] = message_of(way, stores)
    assert len(messages) == len(WAYS)
    assert not [message for message in messages.values() if "\n" in message]
    path = ROOT / "docs/classifiers.md"
    document = path.read_text(encoding="utf-8")
    found = find_table(document)
    if os.environ.get(WRITE):
        path.write_text(document[: found.start()] + table_of(messages) + document[found.end() :], encoding="utf-8")
    else:
        assert found[0] == table_of(messages), f"write it anew: {WRITE}=1 python -m pytest {__file__}"
