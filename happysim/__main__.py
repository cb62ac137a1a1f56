"""`python -m happysim` is the command line."""

import sys

from happysim.front.cli import main

sys.exit(main())
