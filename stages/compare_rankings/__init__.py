"""Rankings of style dimensions compared on samples that none of them saw, and which dimensions matter at all."""
