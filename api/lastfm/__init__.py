"""Last.fm's Web Services 2.0 and its predecessor Audioscrobbler 1.2, as players speak them."""
