"""The paper's claims, each with a verdict by a stated rule from the numbers of this run."""
