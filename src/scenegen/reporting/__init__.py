"""Results of runs side by side: comparison, leaderboard, page."""
