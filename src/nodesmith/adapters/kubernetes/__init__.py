"""The Kubernetes API: our own thin client, reflector, lease and event recorder."""
