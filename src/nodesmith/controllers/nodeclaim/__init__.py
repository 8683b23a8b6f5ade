"""NodeClaims, from asked for to gone."""
