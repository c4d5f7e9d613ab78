"""Programs as users write them. `tests/promises/test_programs.py` runs them, and mypy and pyright check them."""
