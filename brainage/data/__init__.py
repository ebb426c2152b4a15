"""From preprocessed volumes to splits, augmentation and batches."""
