"""Bundles that were made to deceive, to hang or to break `verify`: refused in seconds, without a traceback.

Most are signed with the key of their maker. What such a one can do unseen, without --data and --rerun: other metrics or
tables with all that follows from them; a table left out, as if it were large; other code in the commit; other times,
environment, README and words of the report.
"""

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.evidence.attestation import ENVELOPE, make_keys, read_private_key
from flows.evidence.reading import UnreadableError, check_name, parse_json, parse_yaml, show
from tests.flows.evidence.conftest import Made, edit_statement, read_payload, redefine, sign_again
from tests.flows.evidence.forging import BYTES, SECONDS, Outcome, call_verify, edit_json, forge, mutate, run_verify

GATES, COUNTS, TABLE = (f"data/acceptance/{name}" for name in ("gates.json", "metrics.json", "gates.csv"))
PAGE, METRICS, FIGURE = "data/report/report.html", "data/measure/metrics.json", "data/measure/figures/numbers.csv"
SIZE = 200 << 30  # bytes
BOMB = b"a0: &a0 [x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 20)
)
Attack = Callable[[Made, Path], None]


def write(name: str, data: bytes) -> Attack:
    """Other bytes in a file, signed."""

    def spoil(made: Made, bundle: Path) -> None:
        (bundle / name).write_bytes(data)
        sign_again(bundle, made.key)

    return spoil


def swap(name: str, old: str, new: str) -> Attack:
    """Another text in a file, once, signed."""

    def spoil(made: Made, bundle: Path) -> None:
        text, count = re.subn(old, new, (bundle / name).read_text(), count=1)
        assert count
        write(name, text.encode())(made, bundle)

    return spoil


def forged(name: str, data: bytes | Callable[[Any], Any]) -> Attack:
    """Other bytes of a file, or another content of a JSON file, on which all records agree."""
    return lambda made, bundle: forge(bundle, made.key, name, data)


def edit(name: str, change: Callable[[Any], Any]) -> Attack:
    """Another content of a JSON file (of dvc.yaml too, which is JSON here), signed."""

    def spoil(made: Made, bundle: Path) -> None:
        edit_json(bundle, name, change)
        sign_again(bundle, made.key)

    return spoil


def state(change: Callable[[dict[str, Any]], None]) -> Attack:
    """Another statement, signed."""
    return lambda made, bundle: edit_statement(bundle, made.key, change)


def pass_all(made: Made, bundle: Path, but: str = "") -> None:
    """Every verdict a pass, in each file that tells verdicts, and in all records of these files."""
    for name in {GATES, COUNTS, TABLE, PAGE} - {but}:
        text = (bundle / name).read_text()
        for old, new in (('"fail"', '"pass"'), (",fail,", ",pass,"), (">fail<", ">pass<"), ('"fail": 1', '"fail": 0')):
            text = text.replace(old, new)
        text = text.replace('"pass": 1, "pass": 1', '"pass": 2, "fail": 0').replace(
            '"pass": 1, "fail": 0', '"pass": 2, "fail": 0'
        )
        forge(bundle, made.key, name, text.encode())


def drop(*names: str, everywhere: bool = False) -> Attack:
    """Stages left out of stages.json, the inventory and the bundle; everywhere: out of dvc.yaml and dvc.lock, too."""

    def spoil(made: Made, bundle: Path) -> None:
        edit_json(bundle, "stages.json", lambda read: [row for row in read if row["stage"] not in names])

        def forget(read: Any) -> None:
            for name in names:
                del read["stages"][name]
            read["files"] = {path: held for path, held in read["files"].items() if path.split("/")[1:2] != [*names][:1]}
            if "acceptance" in names:
                read["metrics"].remove(COUNTS)

        edit_json(bundle, "inventory.json", forget)
        if everywhere:
            edit_json(bundle, "dvc.yaml", lambda read: [read["stages"].pop(name) for name in names] and read)
            lock = bundle / "dvc.lock"
            for name in names:
                lock.write_text(re.sub(rf"^  {name}:\n(?:    .*\n)+", "", lock.read_text(), flags=re.MULTILINE))
        for name in names:
            shutil.rmtree(bundle / f"data/{name}")
        sign_again(bundle, made.key)

    return spoil


def empty_out(made: Made, bundle: Path) -> None:
    (bundle / "stages.json").write_text("[]")
    write("inventory.json", b'{"files": {}, "stages": {}, "metrics": []}')(made, bundle)


def replace(name: str, make: Callable[[Path], None]) -> Attack:
    """Something else in the place of a file."""

    def spoil(made: Made, bundle: Path) -> None:
        (bundle / name).unlink()
        make(bundle / name)

    return spoil


def sparse(name: str) -> Attack:
    """A file of 200 GB that takes no room on the disk."""

    def spoil(made: Made, bundle: Path) -> None:
        with (bundle / name).open("ab") as file:
            file.truncate(SIZE)

    return spoil


def listed_sparse(made: Made, bundle: Path) -> None:
    edit_statement(bundle, made.key, lambda read: read["subject"].append(
        {"name": "big", "digest": {"sha256": "0" * 64}, "annotations": {"in": "bundle"}}
    ))  # fmt: skip
    sparse("big")(made, bundle)


def link_outside(made: Made, bundle: Path) -> None:
    (bundle / "data").rename(bundle.parent / "elsewhere")
    (bundle / "data").symlink_to(bundle.parent / "elsewhere")


def speak(made: Made, bundle: Path) -> None:
    """A file whose name is a line of its own."""
    (bundle / f"x\naccepted: {bundle.name}\x1b[2J\u202e").write_text("")


def older_in_its_place(made: Made, bundle: Path) -> None:
    shutil.rmtree(bundle)
    shutil.copytree(made.bundles[0], bundle)


def add_outs(*outs: Any) -> Attack:
    return edit("dvc.yaml", lambda read: read["stages"]["draw"]["outs"].extend(outs))


def copy_others(made: Made, bundle: Path) -> None:
    """A crate that gives the hash of nothing for files that are nowhere."""
    edit_json(bundle, "ro-crate-metadata.json", lambda read: read["@graph"].append(
        {"@id": "#x", "name": "data/none", "sha256": hashlib.sha256(b"").hexdigest()}
    ))  # fmt: skip
    sign_again(bundle, made.key)


def flood(made: Made, bundle: Path) -> None:
    """Many files, and many entities of the crate that ask for them."""
    held = {"sha256": "0" * 64, "md5": "0" * 32, "size": 1}
    many = {f"data/draw/numbers/x{place}": held for place in range(50_000)}
    edit_json(bundle, "inventory.json", lambda read: read["files"].update(many))
    entity = {"name": "data/draw/numbers", "sha256": "0" * 64}
    edit_json(bundle, "ro-crate-metadata.json", lambda read: read["@graph"].extend([{"@id": "#x", **entity}] * 3000))
    sign_again(bundle, made.key)


def columns_of_one_name(made: Made, bundle: Path) -> None:
    """A table whose first column says pass everywhere, and whose last one of that name is true."""
    first, *others = (bundle / TABLE).read_text().splitlines()
    forge(bundle, made.key, TABLE, "\n".join([f"verdict,{first}", *(f"pass,{row}" for row in others)]).encode())


def many_metrics(made: Made, bundle: Path) -> None:
    """Files of a million values each."""
    data = b"[" + b"0," * 900_000 + b"0]"
    held = {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest(), "size": len(data)}  # noqa: S324
    names = [f"data/measure/m{place}/metrics.json" for place in range(4)]
    for name in names:
        (bundle / name).parent.mkdir()
        (bundle / name).write_bytes(data)

    def tell(read: Any) -> None:
        read["files"].update(dict.fromkeys(names, held))
        read["metrics"] = sorted(read["metrics"] + names)
        read["stages"]["measure"]["outs"] += names

    edit_json(bundle, "inventory.json", tell)
    edit_json(bundle, "dvc.yaml", lambda read: read["stages"]["measure"]["metrics"].extend(
        {name: {"cache": False}} for name in names
    ))  # fmt: skip
    lock = bundle / "dvc.lock"
    entries = "".join(f"    - {{path: {name}, md5: {held['md5']}}}\n" for name in names)
    lock.write_text(re.sub(r"(  measure:\n(?:    .*\n)*?    outs:\n)", rf"\1{entries}", lock.read_text()))
    sign_again(bundle, made.key)


def forget_page(made: Made, bundle: Path) -> None:
    """The inventory tells nothing of a changed copy; then dvc.lock does."""
    edit_json(bundle, "inventory.json", lambda read: read["files"].pop(PAGE) and None)
    swap(PAGE, '"n": 30', '"n": 3000')(made, bundle)


SWAP_MD5 = swap("dvc.lock", rf"(path: {METRICS}\n *hash: md5\n *md5: )[0-9a-f]{{32}}", rf"\g<1>{'f' * 32}")
DEEP = b"[" * 50_000
ROW = b'<th scope="row">%d</th><td><span class="badge a">x</span>'
LONG = b'{"a": ' + b"9" * 100_000 + b"}"
FOREACH = {"foreach": [f"{i}{'x' * 1000}" for i in range(1000)], "do": {"cmd": "${item}" * 1000, "outs": ["${item}"]}}
ATTACKS: dict[str, tuple[Attack, str]] = {
    "all verdicts pass": (pass_all, "computed again from the metrics: 'fail'"),
    "all but the counts": (lambda made, bundle: pass_all(made, bundle, COUNTS), "computed again from the metrics"),
    "all but the gates": (lambda made, bundle: pass_all(made, bundle, GATES), "computed again"),
    "the page alone": (
        lambda made, bundle: forge(bundle, made.key, PAGE, (bundle / PAGE).read_bytes().replace(b">fail<", b">pass<")),
        "shows pass for small; the metrics give: fail",
    ),
    "a page without verdicts": (
        forged(PAGE, b"<p>All is well."), "embeds no metrics of data/acceptance"
    ),
    "an interval of everything": (
        forged(METRICS, lambda read: read["mean"].update(low=-1e9, high=1e9)), "from -1e+09 to 1e+09 says nothing"
    ),
    "an interval elsewhere": (
        forged(METRICS, lambda read: read["mean"].update(low=2, high=3)), "the interval does not hold its value"
    ),
    "metrics alone": (  # neither verdicts nor page tell of them
        forged(METRICS, lambda read: read["mean"].update(value=0.01, low=0.01, high=0.02)), "computed again from"
    ),
    "acceptance and report dropped": (drop("acceptance", "report"), "no stage acceptance, which dvc.yaml has"),
    "dropped everywhere": (drop("acceptance", "report", everywhere=True), "no stage acceptance; a run without it"),
    "report dropped everywhere": (drop("report", everywhere=True), "no stage report; a run without it is no evidence"),
    "nothing": (empty_out, "no stage draw, which dvc.yaml has"),
    "no criteria": (
        forged("params.yaml", lambda read: read["acceptance"].update(criteria=[])), "acceptance.criteria: 0 entries"
    ),
    "another criterion": (
        edit("params.yaml", lambda read: read["acceptance"]["criteria"][1].update(bar=0.9)), "dvc.lock says"
    ),
    "another hash in dvc.lock": (SWAP_MD5, f"{METRICS}: dvc.lock says md5 {'f' * 32} (measure)"),
    "another hash than of who reads it": (SWAP_MD5, f"dvc.lock: report: md5 of {METRICS} is "),
    "another hash of a folder": (
        swap("dvc.lock", r"[0-9a-f]{32}\.dir", "1" * 32 + ".dir"),
        f"data/draw/numbers: dvc.lock says md5 {'1' * 32}.dir (draw)",
    ),
    "other params in dvc.lock": (swap("dvc.lock", "seed: 2", "seed: 3"), "params.yaml: draw: dvc.lock says {"),
    "another command in dvc.lock": (
        swap("dvc.lock", "work/measure.py", "work/flatter.py"), "dvc.lock: measure: another command than in dvc.y"
    ),
    "another stage in dvc.lock": (swap("dvc.lock", "  measure:\n", "  measured:\n"), "dvc.lock: no stage measure"),
    "a cut dvc.lock": (write("dvc.lock", b"stages: ["), "dvc.lock: no YAML that is read here ("),
    "another table": (swap(FIGURE, r"\Z", "0.5\n"), f"{FIGURE}: the inventory says sha256 "),
    "another page": (forget_page, f"{PAGE}: {METRICS}: mean.n: the page shows 3000, the file holds 30"),
    "a page that is not listed": (forget_page, "the bytes give nothing"),
    "an empty inventory": (write("inventory.json", b"{}"), "inventory.json: KeyError('files')"),
    "a folder for a file": (replace(PAGE, Path.mkdir), f"{PAGE}: extra folder"),
    "older under this name": (older_in_its_place, "signed under the name "),
    **{
        f"alias bomb in {name}": (write(name, BOMB), "more than 60,000 values, aliases counted")
        for name in ("params.yaml", "dvc.yaml", "dvc.lock")
    },
    "template bomb": (edit("dvc.yaml", lambda read: read["stages"].update(x=FOREACH)), "DVC cannot read it"),
    "matrix": (edit("dvc.yaml", lambda read: read["stages"]["draw"].update(matrix={})), "draw has matrix"),
    "variables elsewhere": (edit("dvc.yaml", lambda read: read.update(vars=["/etc/passwd"])), "the file has vars"),
    "deep YAML": (write("dvc.lock", DEEP), "nested more than 32 deep"),
    "deep JSON": (write("inventory.json", DEEP), "JSON more than 64 levels deep"),
    "deep stages": (write("stages.json", b'[{"stage":' * 30_000), "JSON more than 64 levels deep"),
    "deep envelope": (replace(ENVELOPE, lambda path: path.write_bytes(DEEP)), "no DSSE envelope"),
    "long number": (write("inventory.json", LONG), "a number of 100000 digits"),
    "long number in params": (write("params.yaml", b"a: " + b"9" * 100_000), "a number of 100000 digits"),
    "long number in metrics": (forged(METRICS, LONG), "100000 digits"),
    "no number": (forged(METRICS, b'{"mean": NaN}'), "NaN, which is no JSON"),
    "sparse extra file": (sparse("big"), "big: extra"),
    "sparse listed file": (listed_sparse, f"big: {SIZE} bytes; at most"),
    "sparse envelope": (sparse(ENVELOPE), " bytes; at most"),
    "fifo": (replace(PAGE, os.mkfifo), f"{PAGE}: no plain file"),
    "fifo envelope": (replace(ENVELOPE, os.mkfifo), "no plain file"),
    "endless file": (replace(PAGE, lambda path: path.symlink_to("/dev/zero")), "no plain file"),
    "linked folder": (link_outside, "data"),
    "out in the system": (add_outs("/usr"), "allowed: a short relative path"),
    "out above": (add_outs({"../../etc": {"cache": False}}), "allowed: a short relative path"),
    "out in the folder above": (
        edit("dvc.yaml", lambda read: read["stages"]["draw"].update(wdir="..")), "draw has wdir"
    ),
    "lock of the system": (swap("dvc.lock", "path: work/draw.py", "path: /etc/passwd"), "allowed: a short"),
    "lock above": (swap("dvc.lock", "path: work/draw.py", "path: ../../etc/shadow"), "allowed: a short"),
    "inventory of the system": (
        edit("inventory.json", lambda read: read["files"].update({"/etc/passwd": read["files"]["params.yaml"]})),
        "allowed: a short",
    ),
    "inventory above": (
        edit("inventory.json", lambda read: read["stages"]["draw"]["deps"].append("../../etc/shadow")), "allowed: a"
    ),
    "subject of the system": (state(lambda read: read["subject"][0].update(name="/etc/passwd")), "allowed: a short"),
    "run of many lines": (
        lambda made, bundle: redefine(bundle, made.key, "externalParameters", run="x\naccepted: x\x1b[2J"),
        "signed under the name x\\naccepted: x\\x1b[2J",
    ),
    "commit of many lines": (
        state(lambda read: read["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"].update(
            gitCommit="f\naccepted: x"
        )), "no digest",
    ),
    "file of many lines": (speak, "x\\naccepted: "),
    "command of many lines": (
        edit("stages.json", lambda read: read[0].update(state="\naccepted: x\x1b[2J")), "draw: '\\naccepted: x\\x1b[2J'"
    ),
    "lists for objects": (edit("inventory.json", lambda read: read.update(files=[1])), "inventory.json: "),
    "numbers for names": (write("stages.json", b'[1, null, {"stage": 7}, {"stage": [{}]}]'), "stages.json: "),
    "half a character": (write("stages.json", b'["\\ud800"]'), "surrogates not allowed"),
    "a key twice": (write("stages.json", b'[{"a": 1, "a": 2}]'), "a key twice"),
    "crate of another file": (
        edit("ro-crate-metadata.json", lambda read: next(
            each for each in read["@graph"] if each.get("name") == "data/draw/numbers"
        ).update(sha256="0" * 64)), "another sha256 of data/draw/numbers",
    ),
    "crate of nothing": (copy_others, "another sha256 of data/none"),
    "crate of too much": (flood, "data/draw/numbers"),
    "frozen": (edit("dvc.yaml", lambda read: read["stages"]["measure"].update(frozen=True)), "measure is frozen"),
    "frozen by template": (
        edit("dvc.yaml", lambda read: read["stages"].update(x={"foreach": ["a"], "do": {"cmd": "a", "frozen": True}})),
        "stage x is frozen",
    ),
    "columns of one name": (columns_of_one_name, "two columns of one name"),
    "table of lines": (forged(TABLE, b"id\n" * (8 << 20)), "bytes of a table"),
    "interval behind a line end": (
        forged(METRICS, lambda read: read | {"a\n": {"value": 1, "low": 2, "high": 3}}), "does not hold its value"
    ),
    "interval of a namesake": (
        forged(METRICS, lambda _: {"mean": {"value": 0.5, "low": 2, "high": 3, "n": 30}, "mean.value": 2.5}),
        "two numbers of one name"
    ),
    "long names in each other": (
        forged(METRICS, lambda read: read | {"k" * 1_000_000: [0] * 500_000}), "characters of keys"
    ),
    "deep difference": (
        forged(METRICS, lambda read: read | {"a": json.loads('{"a":' * 58 + "[" + "0," * 100_000 + "0]" + "}" * 58)}),
        "a: the page shows nothing"
    ),
    "many values": (many_metrics, "values, with those before it more than"),
    "scripts that do not end": (
        forged(PAGE, b"<script" * (1 << 20)), "a script that does not end"
    ),
    "page of rows": (
        lambda made, bundle: forge(bundle, made.key, PAGE, b"".join(ROW % place for place in range(1_000_000))),
        "shows no verdict",
    ),
    "many values of YAML": (write("params.yaml", b"a: [" + b"1," * 99_000 + b"]"), "more than 60,000 values"),
    "many subjects": (state(lambda read: read["subject"].extend([read["subject"][0]] * 100_000)), "bytes; at most"),
    "two of one name": (state(lambda read: read["subject"].append(read["subject"][0])), "two subjects of one name"),
}  # fmt: skip


def check_limits(outcome: Outcome) -> None:
    assert "Traceback" not in outcome.output, outcome.output
    assert outcome.seconds < SECONDS, outcome
    assert outcome.peak < BYTES, outcome


def assert_refused(outcome: Outcome, told: str) -> None:
    check_limits(outcome)
    assert outcome.code == 1, outcome.output
    assert told in outcome.output
    lines = outcome.output.splitlines()
    assert not any(line.startswith("accepted") for line in lines), "no name may print a line of its own"
    assert not re.search("[\x1b\u202e]", outcome.output)


@pytest.mark.parametrize("name", ATTACKS)
def test_deceit_is_refused(made: Made, name: str) -> None:
    attack, told = ATTACKS[name]
    attack(made, made.newest)
    assert_refused(call_verify(made.newest, made.key), told)


def call_it_otherwise(made: Made, bundle: Path) -> None:
    before = read_payload(bundle)["predicate"]["buildDefinition"]["externalParameters"]["previous"]
    redefine(bundle, made.key, "externalParameters", previous=before | {"name": "x" * 900})


def lead_outside(made: Made, bundle: Path) -> None:
    """In the project a link to somewhere else in the place of one file, and a FIFO in that of another."""
    page, table = made.project / PAGE, made.project / TABLE
    page.rename(made.project.parent / "page.html")
    page.symlink_to(made.project.parent / "page.html")
    table.unlink()
    os.mkfifo(table)


AT_THE_COMMAND_LINE: dict[str, tuple[Attack, str]] = {
    name: ATTACKS[name] for name in ("all verdicts pass", "run of many lines", "file of many lines", "sparse envelope")
} | {
    "older by a link": (
        lambda made, bundle: (bundle.parent / "newer").symlink_to(made.bundles[0]), "newer: signed under the name "
    ),
    "one before of another name": (call_it_otherwise, "calls it xxx"),
    "large data": (lambda made, _: sparse(PAGE)(made, made.project), f"the data hold {SIZE}"),
    "data that lead outside": (lead_outside, f"{TABLE}: no plain file"),
    "a FIFO for the one before": (
        lambda made, _: replace(ENVELOPE, os.mkfifo)(made, made.bundles[0]), ": its envelope is another; the bundle "
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AT_THE_COMMAND_LINE)
def test_deceit_is_refused_at_the_command_line(made: Made, name: str) -> None:
    attack, told = AT_THE_COMMAND_LINE[name]
    attack(made, made.newest)
    target = "newer" if name == "older by a link" else made.newest.name
    outcome = run_verify(made.project, f"evidence/{target}", *(["--no-data", "--alone"] if name in ATTACKS else []))
    assert_refused(outcome, told)
    assert outcome.output.splitlines()[-1].startswith("NOT ACCEPTED: ")


def test_honest_bundle_beside_traps_is_accepted(made: Made) -> None:
    """What lies beside a bundle cannot hang or bloat it; nor what lies in the place of the one before."""
    for name in ("fifo", "zero", "sparse", "folder"):
        (made.newest.parent / name).mkdir()
    os.mkfifo(made.newest.parent / "fifo" / ENVELOPE)
    (made.newest.parent / "zero" / ENVELOPE).symlink_to("/dev/zero")
    sparse(ENVELOPE)(made, made.newest.parent / "sparse")
    (made.newest.parent / "folder" / ENVELOPE).mkdir()
    (made.newest.parent / "all").symlink_to("/")
    os.mkfifo(made.newest.parent / "pipe")
    for earlier in (made.bundles[0].name, "renamed"):  # under another name, so that all have to be looked at
        made.bundles[0].rename(made.newest.parent / earlier)
        outcome = run_verify(made.project, f"evidence/{made.newest.name}")
        check_limits(outcome)
        assert outcome.code == 0, outcome.output
    shutil.rmtree(made.newest.parent / "renamed")
    os.mkfifo(made.bundles[0])
    assert_refused(run_verify(made.project, f"evidence/{made.newest.name}"), f"{made.bundles[0].name}: missing")


def test_key_in_the_bundle_is_never_taken(made: Made, tmp_path: Path) -> None:
    """A stranger's bundle with the stranger's key in it, from its own folder, from one below, by name and by link."""
    bundle = made.newest
    private, public, _ = make_keys(bundle / ".keys")
    stranger = read_private_key(private)
    private.unlink()
    (bundle / ".keys/.gitignore").unlink()
    (bundle / "data/.keys").symlink_to("../.keys")
    link = tmp_path / "key.pem"
    link.symlink_to(public)
    sign_again(bundle, stranger)
    told = "a key that lies in a bundle is its maker's word"
    for folder, arguments in (
        (bundle, [".", "--no-data", "--alone"]),
        (bundle, ["."]),
        (bundle / "data", [".."]),
        (tmp_path, [str(bundle), "--key", str(public)]),
        (tmp_path, [str(bundle), "--key", str(link)]),
        (bundle, [f"../{made.bundles[0].name}", "--no-data", "--alone"]),  # nor one that lies in another bundle
    ):
        assert_refused(run_verify(folder, *arguments), told)


@pytest.mark.parametrize("kind", ["fifo", "endless", "deep", "words"])
def test_other_commands_read_a_bundle_as_carefully(made: Made, kind: str) -> None:
    """`gates --file` and `compare`, which tell what a bundle holds without a look at its signature."""
    path, told = made.newest / GATES, json.loads((made.newest / GATES).read_bytes())
    told["criteria"][0].update(id="[/x]\x1b[2J", because="[link=http://x]", verdict="fail", found=[])
    path.unlink()
    {
        "fifo": os.mkfifo,
        "endless": lambda path: path.symlink_to("/dev/zero"),
        "deep": lambda path: path.write_bytes(DEEP),
        "words": lambda path: path.write_text(json.dumps(told)),
    }[kind](path)
    older = f"evidence/{made.bundles[0].name}"
    for command in (["gates", "--file", str(path)], ["compare", older, f"evidence/{made.newest.name}"]):
        outcome = run_verify(made.project, *command[1:], command=command[0])
        check_limits(outcome)
        assert "\x1b[2J" not in outcome.output
        assert ("[/x]\\x1b[2J" in outcome.output) == (kind == "words"), outcome.output


@pytest.mark.parametrize("kind", ["fifo", "endless", "folder"])
def test_key_that_is_no_file(lasting: Made, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key.pem"
    {"fifo": os.mkfifo, "endless": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](path)
    outcome = run_verify(lasting.project, f"evidence/{lasting.newest.name}", "--key", str(path))
    assert_refused(outcome, "cannot read the key (no plain file")


def test_bundle_is_not_its_own_data(made: Made) -> None:
    """Its dvc.yaml must not make the folder pass for the project."""
    key = str(made.project / ".keys/evidence.pub.pem")
    outcome = run_verify(made.newest, ".", "--key", key, "--alone")
    assert outcome.code == 0, outcome.output
    assert "data       not checked" in outcome.output
    assert_refused(run_verify(made.newest, ".", "--key", key, "--data", "."), "--data .: lies in the bundle")


def test_no_mutation_is_accepted(lasting: Made, tmp_path: Path) -> None:
    """A sample; MUTATIONS=1000 in the environment tries more of them."""
    draw = random.Random(2)  # noqa: S311  repeatable on purpose
    bundle = tmp_path / lasting.newest.name
    for _ in range(int(os.environ.get("MUTATIONS", "30"))):
        shutil.rmtree(bundle, ignore_errors=True)
        shutil.copytree(lasting.newest, bundle)
        told = mutate(bundle, lasting.key, draw)
        outcome = call_verify(bundle, lasting.key)
        check_limits(outcome)
        assert outcome.code == 1, told
    assert call_verify(lasting.newest, lasting.key).code == 0


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/etc/passwd", "a/../b", "a//b", "./a", "a/", "a\0", "x" * 2000, "a/" * 40 + "a", "\udcff", 7],
)
def test_paths_that_are_not_opened(name: Any) -> None:
    with pytest.raises(UnreadableError):
        check_name(name)


def test_what_is_shown_is_one_plain_line() -> None:
    assert show("a\nb\r\x1b[31m\u202e\u200b\udcff \\ é") == r"a\nb\r\x1b[31m\u202e\u200b\xff \ é"
    assert len(show("x" * 10_000)) < 500


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: !!python/name:os.system",
        "a: 1\na: 2",
        "a: *b",
        "- 2001-99-99",
        "a: 0x" + "f" * 1000,
        "? {a: b}\n: c",
    ],
)
def test_yaml_that_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="no YAML that is read here"):
        parse_yaml(text.encode())
    assert parse_yaml(b"a: &a [1, 1e-8]\nb: *a") == {"a": [1, 1e-8], "b": [1, 1e-8]}, "a few anchors do no harm"


@pytest.mark.parametrize(
    "text", ["1e999", "Infinity", '"\\ud800"', "[" * 70 + "]" * 70, '"' + '\\"' * 100_000, "[1" + ",1" * 2_000_000]
)
def test_json_that_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text.encode())
