"""Bundles in other programs' formats, each held against the bundle on real rows.

From the design matrix on: what makes it of a table is fraudml's, and stays with it. `forest` and the
modules named after libraries read trees; `graph` and `sources` write them; `check` compares; `engine`
scores by a graph inside fraudml.
"""
