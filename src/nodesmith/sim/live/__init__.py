"""AWS in a box whose instances join a real cluster, in real time."""
