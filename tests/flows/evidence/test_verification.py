"""A good bundle is accepted; one byte, file, key or link that is not as signed is not, and is named."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flows.evidence.attestation import ENVELOPE
from flows.evidence.reading import Verdict
from flows.evidence.verification import verify
from tests.flows.evidence.conftest import Made, edit_statement, list_all, redefine, sign_again

MUTATIONS = 300


def check(made: Made, bundle: Path | None = None) -> Verdict:
    return verify(bundle or made.newest, made.keys, made.project, made.newest.parent)


def problems(verdict: Verdict) -> list[str]:
    assert not verdict.accepted
    return [str(problem) for problem in verdict.problems]


def test_good_bundle_is_accepted(lasting: Made) -> None:
    verdict = check(lasting)
    assert verdict.problems == []
    lines = {name: text for name, text, good in verdict.lines if good}
    assert list(lines) == [
        *("signature", "name", "files", "stages", "dvc.lock", "copies", "crate", "metrics", "verdicts", "report"),
        *("case", "data", "chain"),
    ]
    assert lines["chain"] == "1 bundles before this one, back to the first"
    assert lines["stages"].startswith("4 stages of dvc.yaml")
    assert verdict.unchecked[0].startswith("the metrics and figures")


def test_no_flipped_byte_and_no_truncated_file_is_accepted(lasting: Made, tmp_path: Path) -> None:
    """Any byte of any file, to any other value, or all from there on gone: refused, and the file is named."""
    bundle = tmp_path / lasting.newest.name
    shutil.copytree(lasting.newest, bundle)
    draw = random.Random(20261)  # noqa: S311  repeatable on purpose
    files = list_all(bundle)
    for turn in range(MUTATIONS):
        # Every file in turn, the envelope each second time: there a byte has the most places to hide.
        path = bundle / ENVELOPE if turn % 2 else files[turn // 2 % len(files)]
        whole = path.read_bytes()
        place = draw.randrange(len(whole))
        changed = bytes([whole[place] ^ draw.randrange(1, 256)])
        path.write_bytes(whole[:place] + (changed + whole[place + 1 :] if turn % 7 else b""))
        verdict = verify(bundle, lasting.keys)
        name = path.relative_to(bundle).as_posix()
        assert not verdict.accepted, f"{name}: byte {place} of {len(whole)} from {whole[place]} to {changed[0]}"
        assert [problem.path for problem in verdict.problems] == [name]
        path.write_bytes(whole)
    assert verify(bundle, lasting.keys).accepted


def test_every_byte_of_the_envelopes_frame_counts(lasting: Made, tmp_path: Path) -> None:
    """What stands around the payload is in no signature: spaces, key id, unused bits of base64."""
    bundle = tmp_path / lasting.newest.name
    bundle.mkdir()
    whole = (lasting.newest / ENVELOPE).read_bytes()
    payload = whole.index(b'"payload": "') + len(b'"payload": "')
    end = whole.index(b'"', payload)
    for place in (*range(payload), *range(end - 4, len(whole))):
        for changed in {32, whole[place] ^ 1, whole[place] ^ 32} - {whole[place]}:
            (bundle / ENVELOPE).write_bytes(whole[:place] + bytes([changed]) + whole[place + 1 :])
            assert verify(bundle, lasting.keys).lines[0][::2] == ("signature", False)
    for more in (whole + b"\n", whole[:-1], b"\xef\xbb\xbf" + whole, b"", b"[]", b"null", b"[" * 100_000):
        (bundle / ENVELOPE).write_bytes(more)
        assert verify(bundle, lasting.keys).lines[0][::2] == ("signature", False)


def swap_files(made: Made) -> None:
    one, two = made.newest / METRICS, made.newest / TABLE
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def add_and_remove(made: Made) -> None:
    (made.newest / "stages.json").unlink()
    (made.newest / "data/note.txt").write_text("believe me")
    (made.newest / "hidden").mkdir()
    page = made.newest / PAGE
    page.rename(made.project / "elsewhere.html")
    page.symlink_to(made.project / "elsewhere.html")


def sign_as_stranger(made: Made) -> None:
    sign_again(made.newest, Ed25519PrivateKey.generate())


def forge_key_id(made: Made) -> None:
    """The id of the trusted key over a foreign signature."""
    mine = json.loads((made.newest / ENVELOPE).read_bytes())["signatures"][0]["keyid"]
    sign_as_stranger(made)
    forged = json.loads((made.newest / ENVELOPE).read_bytes())
    forged["signatures"][0]["keyid"] = mine
    (made.newest / ENVELOPE).write_text(json.dumps(forged, indent=1) + "\n")


def no_statement(made: Made) -> None:
    edit_statement(made.newest, made.key, lambda statement: statement.update(predicateType="https://example.org/x"))


PAGE, TABLE, METRICS = "data/report/report.html", "data/measure/figures/numbers.csv", "data/measure/metrics.json"
SHA = "[0-9a-f]{16}"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (swap_files, [rf"{name}: the statement says sha256 {SHA}, the bytes give {SHA}" for name in (TABLE, METRICS)]),
        (add_and_remove, [
            "hidden: extra folder; the statement lists nothing in it",
            "data/note.txt: extra; the statement does not list it",
            f"{PAGE}: no plain file",
            "stages.json: missing; the statement lists it",
        ]),
        (sign_as_stranger, [rf"{ENVELOPE}: signed by the key {SHA}, not by {SHA}"]),
        (forge_key_id, [rf"{ENVELOPE}: the signature of key {SHA} does not fit the payload"]),
        (no_statement, [rf"{ENVELOPE}: signed, but no statement about a bundle \(.*\)"]),
        (lambda made: (made.newest / ENVELOPE).unlink(), [f"{ENVELOPE}: missing"]),
    ],
)  # fmt: skip
def test_what_is_not_as_signed_is_named(made: Made, spoil: Callable[[Made], None], told: list[str]) -> None:
    spoil(made)
    found = problems(check(made))
    assert len(found) == len(told)
    assert all(re.fullmatch(*pair) for pair in zip(told, found, strict=True)), found


def test_one_of_several_trusted_keys_suffices(lasting: Made) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    assert verify(lasting.newest, [other, *lasting.keys]).accepted
    assert not verify(lasting.newest, [other]).accepted


def test_data_that_differ_are_named(made: Made) -> None:
    path = made.project / "data/draw/numbers/a"
    times = path.stat()
    whole = path.read_bytes()
    path.write_bytes(b"9" + whole[1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # unseen by DVC
    (made.project / "data/draw/numbers/below/c.safetensors").unlink()
    (made.project / "data/draw/numbers/d").write_text("0.5\n")
    lock = made.project / "dvc.lock"
    lock.write_text(lock.read_text() + "\n")
    told = problems(check(made))
    assert re.fullmatch(
        r"data/draw/numbers/a: the bundle says sha256 [0-9a-f]{16}, the data hold [0-9a-f]{16}", told[0]
    )
    assert told[1:] == [
        "data/draw/numbers/below/c.safetensors: missing in the data; the bundle lists it",
        "data/draw/numbers/d: extra in the data; the bundle does not list it",
        "dvc.lock: another one in the data than in the bundle; has the project moved on since?",
    ]
    assert verify(made.newest, made.keys).accepted, "the bundle itself is whole"


def edit_past(made: Made) -> None:
    path = made.bundles[0] / METRICS
    path.write_bytes(path.read_bytes().replace(b"0.", b"1.", 1))


def sign_past_anew(made: Made) -> None:
    path = made.bundles[0] / "README.md"
    path.write_text(path.read_text() + "Never mind.\n")
    sign_again(made.bundles[0], made.key)
    assert verify(made.bundles[0], made.keys, chain=made.newest.parent).accepted


def move(made: Made) -> None:
    redefine(made.newest, made.key, "internalParameters", place=5)


def move_and_begin(made: Made) -> None:
    move(made)
    redefine(made.newest, made.key, "externalParameters", previous=None)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (edit_past, "{past}/data/measure/metrics.json: the statement says sha256 "),
        (sign_past_anew, "{past}: its envelope is another; the bundle {newest} follows the envelope"),
        (lambda made: shutil.rmtree(made.bundles[0]), "{past}: missing; the bundle {newest} follows the envelope with"),
        (move, "{past}: says place 0 in the chain, {newest} after it says 5"),
        (move_and_begin, "{newest}: says place 5 in the chain but follows no bundle"),
    ],
)
def test_spoilt_chain_is_found(made: Made, spoil: Callable[[Made], None], told: str) -> None:
    spoil(made)
    (found,) = problems(check(made))
    assert found.startswith(told.format(past=made.bundles[0].name, newest=made.newest.name))


def test_renamed_past_bundle_is_still_found(made: Made) -> None:
    """A folder's name is no evidence; the digest is."""
    made.bundles[0].rename(made.bundles[0].parent / "first")
    assert check(made).accepted
