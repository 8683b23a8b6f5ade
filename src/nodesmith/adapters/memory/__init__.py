"""A cluster and a cloud in memory, verified by the same contract tests as the real ones."""
