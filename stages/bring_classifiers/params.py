"""One entry of the section `bring_classifiers` of params.yaml."""

from failure_atlas.brought.params import BringClassifierParams

MODEL = BringClassifierParams
ENTRIES = True  # the section holds one such mapping per classifier
MAY_BE_EMPTY = True  # nobody has to bring one
