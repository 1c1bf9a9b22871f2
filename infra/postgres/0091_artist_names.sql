-- Players ask for an artist by name (Last.fm's artist.getInfo).
create index catalogue_artist_cards_by_name on catalogue_artist_cards (lower(name));
