"""`python -m tunewell` is `tunewell`."""

from tunewell.cli import main

main()
