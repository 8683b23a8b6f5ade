"""Files as users keep them (manifests, Helm values, Terraform): what is wrong in them, and putting it right."""
