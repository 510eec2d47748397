"""``python -m cdrl_cli`` is ``spfem``."""

from cdrl_cli.cli.app import main

if __name__ == "__main__":
    main()
