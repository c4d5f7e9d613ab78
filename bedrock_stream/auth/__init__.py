"""Who we are and how we prove it."""
