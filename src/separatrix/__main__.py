"""``python -m separatrix`` is the same as ``separatrix``."""

import sys

from separatrix.cli import main

sys.exit(main())
