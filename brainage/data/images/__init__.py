"""The image-classification data sets of the benchmarks, read from where the user has them."""
