"""Moods: what they sound like, and what people call them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mood:
    """A mood.

    Attributes
    ----------
    sound
        Audio feature (a share, 0 .. 1) -> the value the mood has; valence and energy span Russell's
        circumplex model of affect (1980), the others say what the two leave open.
    tags
        Names listeners give it, for tracks whose sound is not known.
    """

    sound: dict[str, float]
    tags: tuple[str, ...]


MOODS: dict[str, Mood] = {
    "happy": Mood({"valence": 0.9, "energy": 0.65}, ("happy", "feel good", "upbeat", "cheerful")),
    "sad": Mood({"valence": 0.1, "energy": 0.3}, ("sad", "melancholic", "melancholy", "sadness")),
    "calm": Mood(
        {"energy": 0.15, "acousticness": 0.85},
        ("calm", "chill", "chillout", "relaxing", "mellow", "relax"),
    ),
    "energetic": Mood({"energy": 0.95, "acousticness": 0.05}, ("energetic", "energy", "powerful")),
    "party": Mood({"danceability": 0.9, "energy": 0.75}, ("party", "dance", "danceable", "club")),
    "dark": Mood({"valence": 0.1, "energy": 0.75}, ("dark", "gloomy", "aggressive", "angry")),
    "focus": Mood(
        {"instrumentalness": 0.9, "energy": 0.35}, ("instrumental", "focus", "study", "ambient")
    ),
    "romantic": Mood(
        {"valence": 0.55, "energy": 0.3, "acousticness": 0.6}, ("romantic", "love", "love songs")
    ),
}
