"""Content: what artists are like by their tags, so that one nobody has heard can be recommended."""
