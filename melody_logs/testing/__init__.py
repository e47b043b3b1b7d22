"""For the tests of hosts: the entries that a test records, and a watch over the secrets in them."""
