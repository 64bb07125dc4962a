"""The candidacy check's summary: which lines to say for the answers given. No verdict is reached here or anywhere."""

from collections.abc import Mapping

CHECK = "candidacy_check"
# In the order asked; each is the slot `check_<subject>` and, in data/dialogue/candidacy_check.yml, a line for a yes and one
# for what was left open.
SUBJECTS = ("age", "pregnancy", "skin", "allergy", "bleeding", "illness", "immunity", "scars", "lump", "mood")


def summary(slots: Mapping[str, object]) -> list[str]:
    """The responses that make the summary, in the order to say them.

    Args:
        slots: `check_<subject>` -> "yes", "no", "unsure" or "skip"; a missing one counts as left open.
    """
    answers = {subject: slots.get(f"check_{subject}") for subject in SUBJECTS}
    raised = [f"utter_check_yes_{subject}" for subject, answer in answers.items() if answer == "yes"]
    left_open = [f"utter_check_open_{subject}" for subject, answer in answers.items() if answer not in ("yes", "no")]
    lines = raised
    if left_open:
        lines = [*raised, "utter_check_open", *left_open]
    return [*(lines or ["utter_check_all_no"]), "utter_check_close"]
