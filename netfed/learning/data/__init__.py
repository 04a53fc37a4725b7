"""Datasets, their split among cloud and devices, and the devices' handwriting. Never torch."""
