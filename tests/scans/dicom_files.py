"""DICOM series made by pydicom: an upright head-like block, and a patient who must not be seen."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

PATIENT = {
    "PatientName": "Zyxwander^Quillon",
    "PatientID": "MRN-99887766",
    "OtherPatientNames": "Maidenia^Quillon",
    "PatientBirthDate": "19770313",
    "PatientAddress": "13 Plantedlane",
    "AccessionNumber": "ACC5544332",
    "InstitutionName": "Nowhereville Infirmary",
    "InstitutionAddress": "1 Nowhereroad",
    "ReferringPhysicianName": "Refersworth^Dr",
    "StationName": "STATIONXQ7",
    "DeviceSerialNumber": "SN31415926",
    "StudyDescription": "Planteddescription",
    "StudyID": "STUDYID4711",
    "ImageComments": "Commentarius Quillon",
    "StudyDate": "20190704",
    "SeriesDate": "20190704",
    "AcquisitionDate": "20190704",
    "StudyTime": "113355.123",
    "AcquisitionTime": "113411.456",
    "ContentTime": "113411.456",
}
T1W = {
    "SeriesDescription": "t1_mprage_sag",
    "ScanningSequence": ["GR", "IR"],
    "MRAcquisitionType": "3D",
    "EchoTime": 2.9,
    "RepetitionTime": 2300.0,
    "InversionTime": 900.0,
}
T2W = {"SeriesDescription": "t2_space", "ScanningSequence": "SE", "EchoTime": 394.0}


def voxels(shape=(24, 20, 18)) -> np.ndarray:
    """Rows, columns, slices; no symmetry, so that a flip shows."""
    return np.random.default_rng(1).integers(0, 1000, shape).astype(np.uint16)


def write_series(
    folder: Path,
    data: np.ndarray | None = None,
    *,
    step_mm: float = 1.5,
    study: str = "1.2.826.0.1.3680043.8.498.11111",
    series: str | None = None,
    number: int = 4,
    leave_out: tuple[int, ...] = (),
    **header,
) -> list[Path]:
    """An axial series, one file a slice; ``header`` overrides any element, None leaves it out."""
    data = voxels() if data is None else data
    series = series or generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index in range(data.shape[2]):
        if index in leave_out:
            continue
        image = _image(study, series, number, header)
        image.InstanceNumber = index + 1
        image.ImagePositionPatient = [-10.0, -12.0, 5.0 + step_mm * index]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.PixelSpacing = [1.0, 0.9]
        _fill(image, data[:, :, index])
        files.append(folder / f"IM{index:04d}.dcm")
        _save(image, files[-1])
    return files


def write_head(folder: Path, original: Path, **header) -> list[Path]:
    """A head of a NIfTI file as a series, where it lies in the scanner; ``header`` as above."""
    image = nib.load(original)
    data = np.asanyarray(image.dataobj).astype(np.uint16)
    files = write_series(folder, np.ascontiguousarray(data.transpose(1, 0, 2)), **header)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    steps, spacing = to_lps[:3, :3], np.linalg.norm(to_lps[:3, :3], axis=0)
    axes = steps / spacing
    for index, file in enumerate(files):
        slice_ = pydicom.dcmread(file)
        slice_.ImagePositionPatient = [*(to_lps[:3, 3] + index * steps[:, 2]).round(6)]
        slice_.ImageOrientationPatient = [*axes[:, 0].round(9), *axes[:, 1].round(9)]
        slice_.PixelSpacing = [spacing[1].round(6), spacing[0].round(6)]
        slice_.save_as(file)
    return files


def write_enhanced(file: Path, data: np.ndarray | None = None, *, step_mm: float = 1.5) -> Path:
    """The same volume in one file with many frames."""
    data = voxels() if data is None else data
    image = _image("1.2.3.4", generate_uid(), 4, {})
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    image.NumberOfFrames = data.shape[2]
    shared, measures, axes = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1.0, 0.9], step_mm
    axes.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([axes])
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for index in range(data.shape[2]):
        frame, position, content = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [-10.0, -12.0, 5.0 + step_mm * index]
        content.DimensionIndexValues = [1, index + 1]
        content.InStackPositionNumber = index + 1
        frame.PlanePositionSequence = Sequence([position])
        frame.FrameContentSequence = Sequence([content])
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    _fill(image, np.moveaxis(data, 2, 0))
    file.parent.mkdir(parents=True, exist_ok=True)
    _save(image, file)
    return file


def _image(study: str, series: str, number: int, header: dict) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = MRImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = generate_uid()
    image.Modality, image.Manufacturer, image.SliceThickness = "MR", "SIEMENS", 1.5
    image.StudyInstanceUID, image.SeriesInstanceUID, image.SeriesNumber = study, series, number
    image.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM"]
    image.PatientAge, image.PatientSex = "042Y", "F"
    for name, value in {**PATIENT, **T1W, **header}.items():
        if value is None:
            if name in image:
                delattr(image, name)
        else:
            setattr(image, name, value)
    return image


def _fill(image: Dataset, stored: np.ndarray) -> None:
    image.Rows, image.Columns = stored.shape[-2:]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelData = stored.tobytes()


def _save(image: Dataset, file: Path) -> None:
    pydicom.dcmwrite(file, image, enforce_file_format=True)
