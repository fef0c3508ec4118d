"""Modules of a folder: found first, kept apart, and forgotten."""

import sys
from pathlib import Path

import pytest

from failure_atlas.brought.code import import_from, modules_of
from failure_atlas.core.errors import StageError


def write(folder: Path, **modules: str) -> Path:
    for name, source in modules.items():
        path = folder / f"{name.replace('__in__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return folder


def test_a_package_with_imports_of_its_own_and_a_folder_without_init(tmp_path: Path) -> None:
    write(
        tmp_path,
        net__in____init__="",
        net__in__model="from .layers import SIZE\nimport plain.inner\ndef build(): return SIZE + plain.inner.ONE\n",
        net__in__layers="SIZE = 7\n",
        plain__in__inner="ONE = 1\n",
    )
    with modules_of(tmp_path):
        assert import_from(tmp_path, "net.model:build", "key")() == 8
    assert not {"net", "net.model", "plain", "plain.inner"} & set(sys.modules)
    assert not list(tmp_path.rglob("__pycache__"))


def test_the_folder_comes_before_what_is_installed_and_what_is_loaded_comes_back(tmp_path: Path) -> None:
    import jinja2

    write(tmp_path, jinja2="def build(): return 'brought'\n")
    with modules_of(tmp_path):
        assert import_from(tmp_path, "jinja2:build", "key")() == "brought"
        assert import_from(tmp_path, "collections:OrderedDict.fromkeys", "key")("a") == {"a": None}
    assert sys.modules["jinja2"] is jinja2


def test_bytecode_that_lies_in_the_folder_is_not_run(tmp_path: Path) -> None:
    """It has no hash of its own."""
    import importlib.util
    import py_compile

    path = write(tmp_path, net="def build(): return 'old'\n") / "net.py"
    bytecode = Path(importlib.util.cache_from_source(str(path)))
    py_compile.compile(str(path), str(bytecode), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    path.write_text("def build(): return 'new'\n", encoding="utf-8")
    with modules_of(tmp_path):
        assert import_from(tmp_path, "net:build", "key")() == "new"


def test_what_is_set_aside_comes_back_after_a_failure(tmp_path: Path) -> None:
    finders = list(sys.meta_path)
    write(tmp_path, net="1 / 0\n")
    with (
        pytest.raises(StageError, match=r"key: importing net fails \(ZeroDivisionError: .*\); correct its code"),
        modules_of(tmp_path),
    ):
        import_from(tmp_path, "net:build", "key")
    assert sys.meta_path == finders
    assert "net" not in sys.modules
