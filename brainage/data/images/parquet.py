"""Images in Parquet files: a column of structs with the encoded ``bytes``, a column ``label``."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brainage.data.images.files import Pixels, decode_rgb
from brainage.errors import DataError

_PNG = b"\x89PNG"


class ParquetImages:
    """The rows of a Parquet file.

    Args:
        path: the file.
        column: name of the image column.

    Raises:
        DataError: if it is no such file.
    """

    def __init__(self, path: Path, column: str) -> None:
        # Half a second, which other formats can do without.
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415

        try:
            table = pyarrow.parquet.read_table(path, columns=[column, "label"])
            self._encoded = table[column].combine_chunks().field("bytes")
            self.labels: npt.NDArray[np.int64] = table["label"].to_numpy().astype(np.int64)
        except (OSError, KeyError, ValueError, AttributeError, pyarrow.ArrowException) as error:
            raise DataError(
                f"{path}: expected a Parquet file with the columns {column}.bytes and label: "
                f"{str(error).splitlines()[0]}"
            ) from error
        if self.labels.size and self.labels.min() < 0:
            row = int(self.labels.argmin())
            raise DataError(
                f"{path}: row {row} has the label {self.labels[row]}: a part without labels"
            )
        self.path = path

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_lossless(self) -> bool:
        """Whether all images are PNG, which keeps every pixel."""
        return all((each.as_py() or b"").startswith(_PNG) for each in self._encoded)

    def pixels(self) -> Iterator[Pixels]:
        """The images (H, W, 3), decoded one by one."""
        for number, encoded in enumerate(self._encoded):
            yield decode_rgb(encoded.as_py() or b"", f"{self.path}: row {number}")
