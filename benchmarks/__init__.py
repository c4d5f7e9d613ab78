"""Benchmarks, one module per question, in which the contenders must agree on the result before costs are compared.

    python -m benchmarks                 run all benchmarks and print one table; takes a quarter of an hour
    python -m benchmarks burst paced     run some of them
    python -m benchmarks --quick         a smoke run: everything runs and agrees, the figures mean nothing
    python -m benchmarks --plot          also draw docs/pictures/burst.svg

A contender that is not installed is reported as missing. `pip install -e '.[bench]'` installs all of them.
"""
