"""What may be wrong with an installation and a project: one module for each thing that is looked at."""
