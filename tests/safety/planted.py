"""Scans whose headers tell who and when, and a search through everything that was written."""

import gzip
import io
import re
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom

from tests.scans.dicom_files import PATIENT, write_head

MARK = "Quzzlewick"
"""Part of every text that is planted; of the DICOM header ``PATIENT`` is searched for, too."""

STUDY = "1.2.77.31415.9"
"""How the identifiers of the planted study and series begin."""

SHORTEST = 5
"""Shorter pieces of names and addresses are found in anything."""


def write_planted_nifti(path: Path, original: Path) -> Path:
    """A NIfTI file with a mark in every field and extension that holds text."""
    image = nib.load(original)
    planted = nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header)
    for field in ("descrip", "aux_file", "db_name", "intent_name"):
        planted.header[field] = f"{MARK}{field}"[: planted.header[field].dtype.itemsize]
    for code in ("comment", "afni", 0):
        text = f"{MARK} born 13.03.1977".encode()
        planted.header.extensions.append(nib.nifti1.Nifti1Extension(code, text))
    header = pydicom.Dataset()
    header.PatientName = f"{MARK}^Quillon"
    extension = nib.nifti1.Nifti1DicomExtension(2, header)
    planted.header.extensions.append(extension)
    nib.save(planted, path)
    return path


def write_planted_mgh(path: Path, original: Path) -> Path:
    """An MGH file with a mark in the tags behind its voxels, where FreeSurfer notes commands."""
    image = nib.load(original)
    data = np.asanyarray(image.dataobj).astype(np.float32)
    content = nib.MGHImage(data, image.affine).to_bytes()
    text = f"mri_convert {MARK} --subject {MARK}".encode() + b"\0"
    path.write_bytes(content + struct.pack(">iq", 3, len(text)) + text)
    return path


def write_planted_dicom(folder: Path, original: Path) -> Path:
    """A series with a mark in names, comments and private elements."""
    texts = {
        "PatientName": f"{MARK}^Jane", "OtherPatientIDs": f"{MARK}7", "PatientID": f"{MARK}1",
        "PatientComments": MARK, "OperatorsName": MARK, "RequestingPhysician": MARK,
        "ProtocolName": MARK, "RequestedProcedureDescription": MARK, "DeviceSerialNumber": MARK,
    }  # fmt: skip
    for file in write_head(folder, original, study=f"{STUDY}.1", series=f"{STUDY}.1.1", **texts):
        header = pydicom.dcmread(file)
        block = header.private_block(0x0029, f"{MARK} HEADER", create=True)
        block.add_new(0x10, "LO", f"{MARK} private")
        block.add_new(0x20, "OB", f"{MARK} binary".encode())
        header.save_as(file)
    return folder


def write_refused(folder: Path) -> list[Path]:
    """Scans with planted headers that cannot be used, each for another reason."""
    files = []
    for name, change in {
        "no-geometry": {"srow_x": [0, 0, 0, 0], "sform_code": 1},
        "no-size": {"dim": [3, 0, 16, 16, 1, 1, 1, 1]},
        "no-type": {"datatype": 1999},
    }.items():
        header = nib.Nifti1Header()
        header.set_data_shape((16, 16, 16))
        header["descrip"] = header["aux_file"] = MARK
        header["magic"] = b"n+1"
        header["vox_offset"] = 352
        for field, value in change.items():
            header[field] = value
        files.append(folder / f"{name}.nii")
        files[-1].write_bytes(header.binaryblock + bytes(4 + 2 * 16**3))
    return files


def leaks(contents: Iterator[tuple[str, bytes]]) -> list[str]:
    """Planted pieces that are in any of these, with where."""
    pieces = {piece for value in PATIENT.values() for piece in re.split(r"[\^\s.]", str(value))}
    wanted = {piece.lower() for piece in pieces if len(piece) >= SHORTEST} | {
        MARK.lower(), STUDY, "13.03.1977",
    }  # fmt: skip
    found = set()
    for name, content in contents:
        text = f"{name} {content.decode('latin-1')}".lower()
        found |= {f"{piece} in {name}" for piece in wanted if piece in text}
    return sorted(found)


def everything_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every file, and what is packed within."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            yield str(path), content
            yield from _within(str(path), content)


def _within(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Archives, compressed files, pictures' texts and the rows of databases, unpacked."""
    if content.startswith(b"\x1f\x8b"):
        unpacked = gzip.decompress(content)
        yield f"{name} (unpacked)", unpacked
        yield from _within(f"{name} (unpacked)", unpacked)
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield f"{name}/{member}", archive.read(member)
    elif content.startswith(b"\x89PNG"):
        yield from _texts_of_picture(name, content)
    elif content.startswith(b"SQLite format 3"):
        database = sqlite3.connect(name)
        yield f"{name} (rows)", "\n".join(database.iterdump()).encode()
        database.close()


def _texts_of_picture(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Chunks that are not the picture itself; texts may be compressed."""
    position = 8
    while position < len(content):
        (length,) = struct.unpack(">I", content[position : position + 4])
        kind = content[position + 4 : position + 8]
        body = content[position + 8 : position + 8 + length]
        if kind != b"IDAT":
            yield f"{name} ({kind.decode()})", body
        if kind == b"zTXt":
            yield f"{name} (text)", zlib.decompress(body.partition(b"\0")[2][1:])
        position += 12 + length
