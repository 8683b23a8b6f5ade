"""What is wrong with a set-up: facts are read once, then every check is a function of them."""
