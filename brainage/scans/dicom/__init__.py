"""DICOM series: found, chosen, checked and converted, without a word about the patient."""
