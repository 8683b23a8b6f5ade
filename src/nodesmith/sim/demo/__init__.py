"""The user's story, told and checked: from his manifests as he wrote them to an account with nothing left in it."""
