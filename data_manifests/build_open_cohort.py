"""Write the manifests of the open cohort: every scan of the four studies, and who may be shared.

    python data_manifests/build_open_cohort.py $BRAINAGE_DATA

The folder holds ``t1w/<study>/``, each a BIDS folder.
"""

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path

from brainage.scans.manifest import write_manifest
from brainage.scans.source import find_scans

STUDIES = ("ds000011", "ds000228", "ds002748", "ixi")
# In the public domain, so that a model trained on them can be given to anybody.
PUBLIC = {"ds000011", "ds000228", "ds002748"}


def main() -> None:
    """Write ``open_cohort/manifest.csv`` and ``public.csv`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder that holds t1w/ds000011 and so on")
    data = parser.parse_args().data.resolve()
    records = [
        replace(
            record,
            # unique across studies: sub-01 is in two of them
            subject=f"sub-{study}{record.subject.removeprefix('sub-')}",
            sha256=hashlib.sha256(record.scan.read_bytes()).hexdigest(),
        )
        for study in STUDIES
        for record in find_scans(data / "t1w" / study, require_ages=True).records
    ]
    folder = Path(__file__).resolve().parent / "open_cohort"
    folder.mkdir(exist_ok=True)
    write_manifest(records, folder / "manifest.csv", data)
    write_manifest(
        [record for record in records if record.site in PUBLIC], folder / "public.csv", data
    )
    write_manifest(
        [record for record in records if record.site not in PUBLIC], folder / "other.csv", data
    )


if __name__ == "__main__":
    main()
