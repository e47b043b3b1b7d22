"""Where the logs live: tables, connections, the only writer, queries, totals and retention."""
