"""What an instance is told at boot, by AMI family (spec 7.9)."""
