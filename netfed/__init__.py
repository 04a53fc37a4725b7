"""netfed: federated learning and the mobile network that carries it, simulated on one clock."""

__version__ = "0.1.0"
