"""Bundles in other programs' formats, each held against the bundle on real rows.

An export begins at the design matrix: what makes that of a table is fraudml's, and stays with it.
`forest` and the modules named after libraries read trees; `graph` and `sources` write them;
`session` runs a graph; `check` compares.
"""
