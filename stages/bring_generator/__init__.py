"""A generator made elsewhere: read without running it, converted, proven and pinned (2.1.2)."""
