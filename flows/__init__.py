"""Prefect flows: they launch the stages through DVC and never import one."""
