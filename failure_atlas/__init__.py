"""The library: what stages compute and flows check again, without DVC, Prefect or YAML."""
