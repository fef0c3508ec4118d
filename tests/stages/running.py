"""A stage as its tests run it: the inputs are files, all else is changed in its section of params."""

import json
from contextlib import contextmanager
from inspect import Parameter, signature

import pytest

from failure_atlas.stylegan2.generator import Generator
from tests import yaml12 as yaml


@contextmanager
def demanding_noise():
    """Whatever runs here shows each sample under a noise that it names; one style alone only checks networks."""
    whole = Generator.synthesize

    def synthesize(self, s, seeds=None):
        assert seeds is not None or len(s) == 1, "the noise of the samples was forgotten"
        return whole(self, s, seeds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Generator, "synthesize", synthesize)
        yield


class Stage:
    """A stage's `main`, its section of params, and its inputs: those named, else tiny_NAME or its default."""

    def __init__(self, request, main, section, params, **named):
        self.main, self.section, self.params, self.inputs = main, section, params, named
        for name, parameter in signature(main).parameters.items():
            if parameter.default is Parameter.empty and name not in {"out", *named}:
                self.inputs[name] = request.getfixturevalue(f"tiny_{name}")

    def run(self, out, **changes):
        """Run it into a folder and return that; changes: of inputs or of params."""
        options = signature(self.main).parameters.keys()
        inputs = self.inputs | {name: changes.pop(name) for name in list(changes) if name in options}
        params = out.with_suffix(".yaml")
        params.write_text(yaml.safe_dump({self.section: self.params | changes}), encoding="utf-8")
        with demanding_noise():
            self.main(**inputs, out=out, params=params)
        return out


def read_metrics(out):
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))
