"""How a rank of a finished run tells its exit code past torch's launcher."""

import os
from pathlib import Path

EXIT_CODE_FILE = "BRAINAGE_EXIT_CODE_FILE"
"""Environment variable that names the file where rank 0 leaves the exit code of a finished run."""


def rank_exit_code(code: int) -> int:
    """The exit code for a process that may be a rank of torch's elastic launcher.

    The launcher takes every code but 0 for a crash, and 1 says that a run is finished. Then the
    true one is left for ``brainage train --devices``.
    """
    if code != 1 or "TORCHELASTIC_RUN_ID" not in os.environ:
        return code
    if (place := os.environ.get(EXIT_CODE_FILE)) is not None:
        Path(place).write_text(str(code), encoding="ascii")
    return 0
