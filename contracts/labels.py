"""What an impression records of the experiments that touched its list.

One label an experiment, joined by semicolons: ``variety=varied``. Where a list was drafted from two
arms its label names both, ``variety=control+varied``, and ``teams`` holds which of them picked each
track; in the lake each place has the label of its own arm, ``variety=varied+``. No key and no name
of an arm holds one of these signs.
"""

from __future__ import annotations

from typing import Final

#: ``arm`` of an impression that no experiment touched.
NO_ARM: Final = "default"
#: Ends a label: a tester forced the arm, so the list does not count.
FORCED: Final = "?"
#: Ends a label: the arm's list could not be made, the usual one was shown.
FELL_BACK: Final = "!"
#: Between two arms: the list was drafted from both. Ends the label of a place of such a list.
DRAFTED: Final = "+"


def label(key: str, arm: str, *, forced: bool = False) -> str:
    """Return the label of an arm in an impression; several labels are joined by semicolons.

    Examples
    --------
    >>> label("variety", "varied")
    'variety=varied'
    """
    return f"{key}={arm}{FORCED if forced else ''}"


def both(control: str, arm: str) -> str:
    """Return the arm part of the label of a list drafted from two arms.

    Examples
    --------
    >>> label("variety", both("control", "varied"))
    'variety=control+varied'
    """
    return f"{control}{DRAFTED}{arm}"


def of_team(labels: str, team: int) -> str:
    """Return the labels of one place of a drafted list, with the one arm that picked its track.

    Parameters
    ----------
    team
        0 the first arm, 1 the second.

    Examples
    --------
    >>> of_team("variety=control+varied", 1), of_team("old=new;variety=a+b?", 0)
    ('variety=varied+', 'old=new;variety=a+?')
    """
    return ";".join(_one(text, team) for text in labels.split(";"))


def _one(text: str, team: int) -> str:
    key, _, arms = text.partition("=")
    if DRAFTED not in arms:
        return text
    name = arms.rstrip(FORCED + FELL_BACK)
    return f"{key}={name.split(DRAFTED)[team]}{DRAFTED}{arms[len(name) :]}"
