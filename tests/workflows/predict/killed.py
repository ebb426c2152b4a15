"""A prediction in a process of its own, to be killed: ``python -m ...killed SOURCE MODEL OUT LOG``.

Preprocessing is a stand-in that takes no time but for the first scan, whose row therefore comes
last; the log has a line for each scan that was done.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainage.preprocess.cache import PreprocessCache
from brainage.preprocess.config import PreprocessConfig
from brainage.workflows.predict.volumes import VolumeOutcome

SECONDS = 0.15
SECONDS_OF_THE_FIRST = 1.5


@dataclass(frozen=True)
class StandIn:
    """A `ScanTask`: a volume that depends on the scan's name alone."""

    log: Path
    keep: bool = False
    hurry: bool = False

    def __call__(
        self, path: Path, config: PreprocessConfig, cache: PreprocessCache
    ) -> VolumeOutcome:
        number = int(path.name.partition(".")[0])
        if not self.hurry:
            time.sleep(SECONDS if number else SECONDS_OF_THE_FIRST)
        with self.log.open("a") as stream:
            stream.write(f"{number}\n")
        if number == 3:
            return VolumeOutcome(path, "", "failed", "check", "planted", False, 0.1, {})
        rng = np.random.default_rng(number)
        volume_XYZ = rng.standard_normal(config.grid.shape_XYZ).astype(np.float32)
        return VolumeOutcome(path, "", "ok", None, None, False, 0.1, {}, volume_XYZ)


def main(source: str, model: str, out: str, log: str) -> None:
    from brainage.workflows.predict import stream
    from brainage.workflows.predict.run import predict

    stream.MakeVolume = lambda keep: StandIn(Path(log), keep)
    predict(Path(source), model=model, out=Path(out), resume=True, jobs=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
