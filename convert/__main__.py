"""`python -m hub2hf` is the command `hub2hf`."""

from hub2hf.cli import main

if __name__ == "__main__":
    main()
