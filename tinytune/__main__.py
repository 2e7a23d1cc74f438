"""`python -m tinytune`."""

from tinytune.cli import main

if __name__ == "__main__":
    main()
