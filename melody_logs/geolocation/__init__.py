"""Where a sign-in came from: an address, or the headers of a content delivery network, to a place."""
