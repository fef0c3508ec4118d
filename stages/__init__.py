"""One package per DVC stage; each is run as `python -m stages.NAME`."""
