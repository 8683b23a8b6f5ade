"""The checks, one module a subject; `table` lists them all."""
