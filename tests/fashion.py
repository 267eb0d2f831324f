"""Have Fashion-MNIST on this machine for the tests: ``python tests/fashion.py``.

Debian's package as root, else from OpenML; else one sentence.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from paretoscope.base.errors import ParetoscopeError
from paretoscope.data.dataset import fetch_dataset, is_present

NAME = "fashion-mnist"


def main() -> int:
    if is_present(NAME):
        return 0
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (("update", "-qq"), ("install", "-qq", "-y", f"dataset-{NAME}")):
            subprocess.run(
                ["apt-get", *arguments], check=False, stdout=subprocess.DEVNULL, env=environment
            )
    if is_present(NAME):
        return 0
    try:
        fetch_dataset(NAME)
    except ParetoscopeError as error:
        print(f"The tests need Fashion-MNIST: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
