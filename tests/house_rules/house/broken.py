"""A module that must not be imported before one of its parts is chosen."""

raise ImportError("it was imported")
