"""
``python3 -m conformance IMAGE``.
"""

import sys

from conformance.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
