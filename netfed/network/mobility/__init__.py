"""Where devices are, and which cell serves them."""
