"""Live updates: one upstream stream a listener, one rendering for all tabs alike."""
