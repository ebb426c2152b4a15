"""``python -m brainage``: the same as the ``brainage`` program."""

from brainage.cli import main

if __name__ == "__main__":
    main()
