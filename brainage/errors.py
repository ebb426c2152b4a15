"""Everything that can go wrong through the user's input, the data or the machine.

A ``BrainageError`` is shown as one line and ends a command with exit code 2; any other
exception is a bug of ours and keeps its traceback::

    BrainageError
    |-- ConfigError        a configuration key is unknown, mistyped, out of range, or does not fit
    |-- ManifestError      a cohort table that cannot be used
    |-- DataError          files of a public data set that are missing or not the originals
    |-- CohortError        too few subjects, groups or ages for what was asked
    |-- ScanError          one scan that cannot be used: costs its row, never the batch
    |-- BundleError        a model folder that is incomplete, altered or made for something else
    |-- CheckpointError    a checkpoint that cannot be read or belongs to another run
    |-- TrainingError      training that cannot go on: the loss is no longer a number
    |-- RankError          a process of a distributed run that is gone or cannot be reached
    |-- ClusterError       a Dask cluster that cannot be reached or does not fit
    |-- TrackingError      an MLflow store that cannot be reached or lacks what was asked for
    |-- RunFolderError     a run folder that cannot be written or is in use
    `-- MissingPackage     an optional package, with the command that installs it
"""


class BrainageError(Exception):
    """Base of all errors that are shown to the user as one line."""


class ConfigError(BrainageError):
    """A configuration that cannot run; the message starts with the path of the key."""


class ManifestError(BrainageError):
    """A manifest or cohort folder that cannot be used; the message names file, row and column."""


class DataError(BrainageError):
    """Files of a public data set that are missing or differ from the originals."""


class CohortError(BrainageError):
    """A cohort too small or too uneven for the split, the folds or the baseline asked for."""


class ScanError(BrainageError):
    """One scan that cannot be used.

    Args:
        scan: the scan as the user knows it (its path).
        stage: where it failed, one of the names in ``STAGES``.
        reason: what was expected and what was got.
    """

    STAGES = (
        "read",
        "check",
        "denoise",
        "brain_extraction",
        "bias_field",
        "registration",
        "grid",
        "intensity",
        "network",
    )

    def __init__(self, scan: object, stage: str, reason: str) -> None:
        assert stage in self.STAGES, stage
        super().__init__(f"{scan}: {stage}: {reason}")
        self.scan = str(scan)
        self.stage = stage
        self.reason = reason

    def __reduce__(self) -> tuple[type["ScanError"], tuple[str, str, str]]:
        """Pickle by the constructor's arguments, so the error crosses process boundaries."""
        return type(self), (self.scan, self.stage, self.reason)


class BundleError(BrainageError):
    """A model bundle that is incomplete, altered, or does not fit what it is asked to do."""


class CheckpointError(BrainageError):
    """A checkpoint that cannot be read, or that belongs to another configuration."""


class TrainingError(BrainageError):
    """Training that cannot go on, because a loss is not finite."""


class RankError(BrainageError):
    """A process of a distributed run that died, hangs, or cannot be reached; it is named."""


class ClusterError(BrainageError):
    """A Dask cluster that cannot be reached, or whose workers cannot do what is asked."""


class TrackingError(BrainageError):
    """An MLflow store that cannot be reached, or does not hold the model that was asked for."""


class RunFolderError(BrainageError):
    """A run folder that cannot be created, written, or is used by another process."""


class MissingPackage(BrainageError):  # noqa: N818 - reads as what it is
    """An optional package is not installed.

    Args:
        package: the distribution that is missing.
        needed_for: what cannot be done without it.
        extra: the extra of this project that installs it; None of one that belongs to all of it.
    """

    def __init__(self, package: str, needed_for: str, extra: str | None) -> None:
        wanted = package if extra is None else f"'brainage[{extra}]'"
        super().__init__(
            f"{needed_for} needs the package '{package}', which is not installed: "
            f"pip install {wanted}"
        )
        self._arguments = (package, needed_for, extra)

    def __reduce__(self) -> tuple[type["MissingPackage"], tuple[str, str, str | None]]:
        """Pickle by the constructor's arguments, so the error crosses process boundaries."""
        return type(self), self._arguments
