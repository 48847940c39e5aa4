"""`python -m fraudml`."""

from __future__ import annotations

import sys

from fraudml.cli import main

if __name__ == "__main__":
    sys.exit(main())
