"""How hard a text is to read."""

import re

import textstat

# Names a patient has to meet, because there is no plainer word; each counts as one easy word (design: grades leave
# out unavoidable drug names). `mesotherapy` itself stands in every answer.
_UNAVOIDABLE = re.compile(
    r"mesotherapy|deoxycholic acid|phosphatidylcholine|tranexamic acid|hyaluronic acid|botulinum toxin|hyaluronidase"
    r"|dutasteride|finasteride|minoxidil|tretinoin|hydroquinone|lidocaine|procaine|paracetamol|acetaminophen|ibuprofen"
    r"|isotretinoin|liposuction|cryolipolysis|collagenase|platelet-rich plasma|microneedling|mycobacteria"
    r"|aminophylline|polynucleotides|cellulite",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+")


def reading_grade(text: str) -> float:
    """Flesch-Kincaid grade (Kincaid 1975: years of US school needed), unavoidable names counted as easy words."""
    return float(textstat.flesch_kincaid_grade(_UNAVOIDABLE.sub("drug", text).replace("\n", " ")))


def sentences(text: str) -> list[str]:
    """The sentences of a text; a list's lines count as sentences."""
    return [sentence for line in text.splitlines() for sentence in _SENTENCE_END.split(line) if sentence]


def word_count(text: str) -> int:
    """Words, as spaces part them."""
    return len(text.split())
