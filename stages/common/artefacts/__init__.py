"""One module per artefact: its writer and its only reader."""
