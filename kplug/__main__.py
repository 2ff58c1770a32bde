"""`python -m kplug` is the `kplug` command."""

from kplug.cli.app import main

main()
