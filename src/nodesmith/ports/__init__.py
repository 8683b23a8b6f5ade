"""What nodesmith needs from the outside, as protocols, and the errors it may answer with."""
