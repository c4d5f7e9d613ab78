"""Questions about cost, one module each, answered by measuring contenders that must agree first.

    python -m benchmarks                 all questions, one table, ten minutes
    python -m benchmarks burst paced     some of them
    python -m benchmarks --quick         a smoke run: everything runs and agrees, figures mean nothing
    python -m benchmarks --plot          besides draws burst.svg, beside this file

A contender that is not installed is reported as missing. `pip install -e '.[bench]'` installs them all.
"""
