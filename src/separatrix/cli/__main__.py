"""``python -m separatrix.cli`` is the same as ``separatrix``."""

import sys

from separatrix.cli.main import main

sys.exit(main())
