"""The command line: a thin skin over plait.fit and the predictor. Loads no torch before a command needs it."""

from __future__ import annotations

import sys

from plait.cli.app import app


def main() -> None:
    """The entry point: a PlaitError becomes one message on standard error and exit code 2. Exit code 130 after Ctrl-C
    (a fit has then still written the model so far), 143 after SIGTERM (a fit has written a checkpoint)."""
    import warnings

    from plait.errors import PlaitError

    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except PlaitError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        _usage(error)


def _usage(error: Exception) -> None:
    """Wrong usage as typer shows it; anything else is a bug of ours, shown as it is."""
    if not hasattr(error, "exit_code"):
        raise error
    if hasattr(error, "show"):
        error.show()
    sys.exit(error.exit_code)
