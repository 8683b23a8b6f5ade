"""AWS: instance types, prices, launches, images, messages."""
