"""The AWS side of a set-up as a Terraform module and a CloudFormation template, for those who keep theirs so.

Both are written from the same names and policies as `nodesmith install` works with, and are kept in `deploy/`.
"""
