"""Networks that devices train, and what a scenario says about them."""
