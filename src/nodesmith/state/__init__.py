"""The cluster at one moment, and how watch events become it."""
