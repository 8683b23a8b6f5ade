"""Setting up the AWS and cluster side: what is wanted against what is found, as steps that can be undone."""
