"""The vocabulary every other part speaks: values without behaviour beyond their own arithmetic."""
