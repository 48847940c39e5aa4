# Recipes for working on fraudml; `just --list` shows them. They need `pip install -e ".[dev,docs]"`.

default: test lint

# The fast tests, on all cores
test *arguments:
    pytest -q -n auto {{arguments}}

# The tests of over five seconds
slow *arguments:
    pytest -q -n auto -m slow {{arguments}}

# Style, format and types
lint:
    ruff check .
    ruff format --check .
    mypy

# Mend style and format
format:
    ruff check --fix .
    ruff format .

# The docs site, without a warning
docs:
    sphinx-build -W --keep-going -q -b html docs build/docs

# The reference of commands, groups and keys, from the code
reference:
    python scripts/write_reference.py

# One benchmark, as a JSON record: just bench bench_score --rows 1000000
bench name *arguments:
    python scripts/{{name}}.py --record build/benchmarks {{arguments}}

# The fast tests on the lowest versions, on Python 3.13, or on pre-releases
versions which="lowest":
    .ci/versions {{which}}

# All that must hold before a change lands
ci:
    .ci/run
