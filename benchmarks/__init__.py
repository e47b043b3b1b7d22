"""What melody_logs costs, as ratios to the bare work beside it: ``make bench``; docs/performance.md has the figures."""
