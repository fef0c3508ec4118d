"""A stage as its tests run it: the inputs are files, all else is changed in its section of params."""

import json
from inspect import signature

from tests import yaml12 as yaml


class Stage:
    """A stage's `main`, its section of params, and its inputs: those named, else the fixtures tiny_NAME."""

    def __init__(self, request, main, section, params, **named):
        self.main, self.section, self.params, self.inputs = main, section, params, named
        for name in signature(main).parameters.keys() - {"out", "params", *named}:
            self.inputs[name] = request.getfixturevalue(f"tiny_{name}")

    def run(self, out, **changes):
        """Run it into a folder and return that; changes: of inputs or of params."""
        inputs = self.inputs | {name: changes.pop(name) for name in list(changes) if name in self.inputs}
        params = out.with_suffix(".yaml")
        params.write_text(yaml.safe_dump({self.section: self.params | changes}), encoding="utf-8")
        self.main(**inputs, out=out, params=params)
        return out


def read_metrics(out):
    return json.loads((out / "metrics.json").read_text(encoding="utf-8"))
