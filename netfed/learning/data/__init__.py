"""Datasets, their split among cloud and devices, and the devices' handwriting. numpy only."""
