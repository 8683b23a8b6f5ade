"""`python -m nodesmith` is the same as `nodesmith`."""

from nodesmith.cli import main

if __name__ == "__main__":
    main()
