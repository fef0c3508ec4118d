"""Python code that a person brings: imported from its folder first, then from what is installed."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from operator import attrgetter
from pathlib import Path
from typing import Any

from failure_atlas.brought.folder import modules_in, tell_missing_module
from failure_atlas.core.errors import StageError
from failure_atlas.core.text import escape

OURS = frozenset({"numpy", "torch", "stages"})


def import_from(folder: Path, place: str, key: str) -> Any:
    """What stands at `place`, "module:name", of a folder or of an installed package; key: where the params name it.

    To be called, like what it returns, inside `modules_of(folder)`.
    Raises StageError if the module or the name is missing, or if importing it fails.
    """
    module_name, _, attribute = place.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise StageError(
                f"{key}: importing {module_name} needs {error.name}, which is not installed; install it, or put it "
                f"into {folder}"
            ) from error
        raise StageError(tell_missing_module(place, folder, key)) from error
    except Exception as error:
        raise StageError(f"{key}: importing {module_name} fails ({tell(error)}); correct its code") from error
    try:
        return attrgetter(attribute)(module)
    except AttributeError as error:
        own = (name for name, value in vars(module).items() if getattr(value, "__module__", None) == module_name)
        there = ", ".join(own) or "no function or class of its own"
        raise StageError(f"{key}: got '{place}'; {module_name} has no {attribute}; it has: {there}") from error


@contextmanager
def modules_of(folder: Path) -> Iterator[None]:
    """Inside the block the folder's modules come before installed ones; after it they are forgotten.

    So two classifiers may each have a `model.py`. What a module imports only when it is called, after the block, is
    therefore not found in the folder.
    Raises StageError if a module there has the name of one that the stages themselves stand on.
    """
    names = modules_in(folder)
    for name in sorted(names):
        if name in OURS or name in sys.stdlib_module_names:
            raise StageError(f"{folder}: its module {name} has the name of one of Python or of the stages; rename it")

    def is_brought(module: str) -> bool:
        return module.split(".")[0] in names

    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if is_brought(name)}
    finder = _Finder(folder, names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in list(filter(is_brought, sys.modules)):
            del sys.modules[name]
        sys.modules.update(aside)


def tell(error: BaseException) -> str:
    """An exception of brought code in one line."""
    text = escape(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def confined(key: str) -> Iterator[None]:
    """Raise StageError for what brought code does that nobody can foresee, such as to end the program or change folder.

    sys.exit() would pass for success.  key: the entry's place in params.
    """
    home = Path.cwd()
    try:
        yield
    except StageError:
        raise
    except SystemExit as stop:
        raise StageError(
            f"{key}: its code ends the program (sys.exit, exit or quit with {stop.code!r}); remove that call, or put "
            "it below if __name__ == '__main__'"
        ) from stop
    except Exception as error:
        raise StageError(
            f"{key}: it cannot be used as a network ({tell(error)}); correct its code or weights"
        ) from error
    finally:
        if Path.cwd() != home:
            os.chdir(home)
            raise StageError(
                f"{key}: its code changes the working folder; remove os.chdir: paths of params start there"
            )


class _Loader(SourceFileLoader):
    """Compiles the source each time: a file of bytecode beside it is not what was hashed, and none is left there."""

    def path_stats(self, path: str) -> Any:
        raise OSError(f"{path}: no bytecode is kept")


class _Finder:
    """A finder of `sys.meta_path` for the modules and packages of one folder."""

    def __init__(self, folder: Path, names: set[str]) -> None:
        self.folder, self.names = folder.resolve(), names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        if name.split(".")[0] not in self.names:
            return None
        for place in [str(self.folder)] if path is None else list(path):
            spec = FileFinder(place, (_Loader, [".py"])).find_spec(name)
            if spec is not None:
                return spec
        return None
