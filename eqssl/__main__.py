"""``python -m eqssl COMMAND``."""

from eqssl.cli import main

main()
