"""The simulated network: where devices are, what they can do, and how long bits take. Knows time, never tensors."""
