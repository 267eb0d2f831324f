"""The command line: ``python -m paretoscope --help``."""

import sys

from paretoscope.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
