"""The simulated outside: clocks, clusters and clouds that need nothing but this process."""
