"""`python -m heartfast` is the command line."""

import sys

from heartfast.cli import main

sys.exit(main())
