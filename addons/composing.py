"""Puts the parts of a message together: curated text in the order asked, and under any answer its caveat and its sources, once.

This is the one place where the caveat, the sources and the date are joined to an answer, in the same message. Wording lives
in data/. Which replies are wanted, addons/answering.py decides.
"""

from datetime import date
from typing import Any

from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.utils.endpoints import EndpointConfig

from addons.clinic import read_clinic
from addons.configuration import ROOT, ConfigurationError, read_mapping
from addons.dialogue.estimate import estimate, read_published
from addons.sentences import day_in_words, in_short

TOPIC = "faq_"
ANSWER = "utter_faq_"
CAVEAT = "utter_evidence_caveat"
SOURCES = "utter_sources"
NOT_ANSWERED = "utter_part_not_answered"
SHORTENED = "utter_shortened"
TITLE_FOR_CONCERN = "utter_title_for_concern"
COST = "utter_faq_cost"
ASK_SOURCES = "utter_ask_sources"
BOT_CHALLENGE = "utter_bot_challenge"
ESTIMATE = "utter_estimate"
PUBLISHED_PRICES = ROOT / "data" / "published_prices.yml"
# Weakest first: several answers in one message carry the weakest grade, and so does an answer that names none.
GRADES = ("none", "very_low", "low", "moderate", "good")
OUT_OF_SCOPE = "utter_out_of_scope"
PERSON = "utter_request_human"
# The lines under it for what the clinic has set, each a response that names the setting.
CONTACT = ("name", "phone", "booking_link", "opening_hours", "languages")
# The placeholders that are filled while answering; all others are settings of clinic.yml.
COMPUTED = ("title", "sources", "reviewed", "part", "what", "price", "label", "citation", "strength", "count", "total")
# The language every answer is written in.
LANGUAGE = "en"
# A quoted part of the message is a reminder of which one is meant, not an echo.
_LONGEST_QUOTE = 60
_NO_BRACES = str.maketrans("", "", "{}[]")

Draft = dict[str, Any]
Wanted = list[tuple[str, dict[str, Any]]]


class AnswerComposer(TemplatedNaturalLanguageGenerator):
    """Rasa's templated responses, plus the caveat, sources and date under every answer."""

    def __init__(self, endpoint_config: EndpointConfig, domain: Domain) -> None:
        """Read the sources and the clinic's settings once.

        Args:
            endpoint_config: the `nlg` block of endpoints.yml, with `sources` and `clinic`: paths from the project's root.
            domain: the domain; Rasa hands over the model's responses later.

        Raises:
            ConfigurationError: one of the files cannot be used.
        """
        super().__init__(domain.responses)
        settings = endpoint_config.kwargs
        self._sources = read_mapping(ROOT / settings["sources"])
        self._clinic = read_clinic(ROOT / settings["clinic"])
        self._placeholders = self._clinic.placeholders()
        self._published = read_published(PUBLISHED_PRICES)

    def authorship(self, output_channel: str) -> str:
        """Who wrote the answers, and who reviewed them for the clinic or that nobody has.

        Args:
            output_channel: the channel's name.
        """
        return self._text(f"utter_authors_{'reviewed' if self._clinic.reviewed_by else 'not_reviewed'}", {}, output_channel)

    @property
    def responses(self) -> dict[str, list[Draft]]:
        """The responses of the loaded model."""
        return self._responses

    @responses.setter
    def responses(self, responses: dict[str, list[Draft]]) -> None:
        # An answer without its caveat must be impossible, so a model without one does not load.
        if any(name.startswith(ANSWER) for name in responses):
            needed = {CAVEAT, SOURCES} | {f"utter_evidence_{grade}" for grade in GRADES}
            missing = needed - responses.keys()
            if missing:
                raise ConfigurationError(
                    ROOT / "data/safety/evidence_caveat.yml",
                    f"{', '.join(sorted(missing))} missing; no answer may be given without. Restore and train again.",
                )
        self._responses = responses

    def generate_from_slots(
        self, utter_action: str, filled_slots: dict[str, Any], output_channel: str, **kwargs: Any
    ) -> Draft | None:
        """Rasa's own filling of a response, with the clinic's settings as further placeholders."""
        draft: Draft | None = super().generate_from_slots(
            utter_action, filled_slots, output_channel, **{**self._placeholders, **kwargs}
        )
        return draft

    def _random_response_for(self, utter_action: str, output_channel: str, filled_slots: dict[str, Any]) -> Draft | None:
        """The first variation that fits: the file's order decides, never chance.

        Where only the default fits and no country was named, the variation for the clinic's own country counts.
        """
        clinics = {**filled_slots, "country": filled_slots.get("country") or self._clinic.country}
        variations = [v for v in self.responses.get(utter_action, []) if v.get("channel") in (None, output_channel)]
        found = next((variation for variation in variations if _fits(variation, filled_slots)), None)
        if found and not found.get("condition"):
            return next(variation for variation in variations if _fits(variation, clinics))
        return found

    def _compose(
        self, wanted: Wanted, output_channel: str, kwargs: dict[str, Any], shortened: bool = False, short: bool = False
    ) -> Draft | None:
        """One message: the replies in the order asked, then, under any answer, the caveat and the sources, once.

        Args:
            wanted: the replies, as `_wanted` gives them.
            output_channel: the channel's name.
            kwargs: further placeholder values.
            shortened: whether the end of the patient's message was not read, which the reply then says.
            short: whether each answer is said in its shortest form.
        """
        drafts: list[tuple[str, dict[str, Any], Draft]] = []
        for name, named in wanted:
            draft = self._part(name, named, len(wanted) > 1, output_channel, kwargs)
            # Two places of the body may have the same answer.
            if draft is not None and draft["text"] not in [said["text"] for _, _, said in drafts]:
                drafts.append((name, named, draft))
        if not drafts:
            return None
        facts = [draft.get("metadata") or {} for _, _, draft in drafts]
        if short:
            for name, _, draft in drafts:
                if name.startswith(ANSWER):
                    draft["text"] = in_short(str(draft["text"]), self._placeholders["emergency_number"])
        headings = self._headings(drafts, output_channel) if len(drafts) > 1 else [""]
        lines = [
            f"{heading}\n{draft['text']}" if heading else str(draft["text"]) for heading, (_, _, draft) in zip(headings, drafts)
        ]
        message = {key: value for key, value in drafts[0][2].items() if key not in {"metadata", "condition"}}
        message["language"] = LANGUAGE
        safety = next((fact["safety"] for fact in facts if fact.get("safety")), None)
        if safety and not (len(drafts) > 1 and safety == "out_of_scope"):
            message["safety"] = safety
        sources = list(dict.fromkeys(source for fact in facts for source in fact.get("sources") or []))
        reviewed = min((str(fact["reviewed"]) for fact in facts if fact.get("reviewed")), default=None)
        if sources:
            message["sources"] = sources
        if reviewed:
            message["reviewed"] = reviewed
        under: list[str] = []
        answers = [
            (fact.get("topic") or name.removeprefix(ANSWER), named, fact)
            for (name, named, _), fact in zip(drafts, facts)
            if name.startswith(ANSWER) or fact.get("evidence")
        ]
        if answers:
            concern = next((named["concern"] for _, named, _ in answers if named.get("concern")), None)
            treatment = next((named["treatment"] for _, named, _ in answers if named.get("treatment")), None)
            grade = min((_grade(fact) for _, _, fact in answers), key=GRADES.index)
            caveat = " ".join(
                self._text(name, {"concern": concern, "treatment": treatment}, output_channel)
                for name in (f"utter_evidence_{grade}", CAVEAT)
            )
            message.update(
                topics=[topic for topic, _, _ in answers],
                concern=concern,
                evidence=grade,
                sources=sources,
                reviewed=reviewed,
                caveat=caveat,
            )
            under.append(caveat)
            if sources and reviewed:
                message["source_links"] = [self._source_link(source) for source in sources]
                labels = " · ".join(link["label"] for link in message["source_links"])
                message["sources_line"] = self._text(SOURCES, {}, output_channel, sources=labels, reviewed=readable(reviewed))
                under.append(message["sources_line"])
        if any(name == PERSON for name, _, _ in drafts):
            lines += [
                self._text(f"utter_clinic_{setting}", {}, output_channel)
                for setting in CONTACT
                if self._placeholders[f"clinic_{setting}"]
            ]
        if len(drafts) == 1 and facts[0].get("offers"):
            message["offered"] = [f"{TOPIC}{topic}" for topic in facts[0]["offers"]]
            message["buttons"] = self._buttons(message["offered"])
        sessions = next((named["sessions"] for _, named, _ in answers if named.get("sessions")), None)
        if sessions:
            message["sessions"] = sessions
        if safety == "emergency":
            message["call"] = self._clinic.calls()
        elif shortened:
            lines.append(self._text(SHORTENED, {}, output_channel))
        message["body"] = "\n".join(lines)
        message["text"] = "\n".join([message["body"], *under])
        return message

    def _part(
        self, name: str, named: dict[str, Any], one_of_several: bool, output_channel: str, kwargs: dict[str, Any]
    ) -> Draft | None:
        """One reply of a message; a part that is not ours is named as not answered, the rest goes on."""
        if one_of_several and name == OUT_OF_SCOPE:
            quote = str(named.get("text") or "").translate(_NO_BRACES)[:_LONGEST_QUOTE]
            return self.generate_from_slots(NOT_ANSWERED, named, output_channel, part=quote)
        if name == COST and named.get("sessions"):
            return self._estimate(named, output_channel)
        draft = self.generate_from_slots(name, named, output_channel, **kwargs)
        prices = self._clinic.prices_for(named.get("concern"))
        if draft is not None and name == COST and prices:
            listed = [
                self._text("utter_clinic_price", named, output_channel, what=price.what, price=price.amount) for price in prices
            ]
            intro, after = (self._text(f"utter_clinic_prices_{place}", named, output_channel) for place in ("intro", "after"))
            draft["text"] = "\n".join([intro, *listed, after, str(draft["text"])])
        if draft is not None and name in {ASK_SOURCES, BOT_CHALLENGE}:
            lines = [str(draft["text"]), self.authorship(output_channel)]
            # Each begins with what was asked: who wrote it, or whether this is a person.
            draft["text"] = "\n".join(lines[::-1] if name == ASK_SOURCES else lines)
        return draft

    def _headings(self, drafts: list[tuple[str, dict[str, Any], Draft]], output_channel: str) -> list[str]:
        """The heading of each of several replies, empty where it has none; two alike name the concern they are for."""
        titles = [str((draft.get("metadata") or {}).get("title") or "") for _, _, draft in drafts]
        return [
            self._text(TITLE_FOR_CONCERN, named, output_channel, title=title) if title and titles.count(title) > 1 else title
            for title, (_, named, _) in zip(titles, drafts)
        ]

    def _estimate(self, named: dict[str, Any], output_channel: str) -> Draft | None:
        """The cost answer for a number of sessions: the sums, the clinic's own prices first."""
        fewest, most = named["sessions"]
        concern = named.get("concern")
        own = estimate((fewest, most), self._clinic.prices_for(concern))
        published = estimate((fewest, most), [entry.price for entry in self._published if entry.fits(concern)])
        draft = self.generate_from_slots(ESTIMATE, named, output_channel)
        if draft is None:
            return None
        whats = [self._text(f"{ESTIMATE}_own", named, output_channel, what=line.what) for line in own]
        listed = [
            self._text(
                f"{ESTIMATE}_line",
                named,
                output_channel,
                what=what,
                count=line.sessions,
                price=line.price.amount,
                total=line.total,
            )
            for what, line in zip([*whats, *(line.what for line in published)], [*own, *published])
        ]
        draft["text"] = "\n".join([str(draft["text"]), *listed, self._text(f"{ESTIMATE}_close", named, output_channel)])
        draft["metadata"] = {**draft["metadata"], "title": self.responses[COST][0]["metadata"]["title"]}
        return draft

    def _buttons(self, intents: list[str]) -> list[dict[str, str]]:
        """Questions to tap. A payload is the question itself, so that tapping says what typing would, on every channel."""
        facts = [(self.responses.get(f"utter_{intent}") or [{}])[0].get("metadata") or {} for intent in intents]
        return [
            {"title": fact["title"], "payload": fact["title"], "short_title": fact["short_title"]}
            for fact in facts
            if fact.get("title") and fact.get("short_title")
        ]

    def _text(self, name: str, named: dict[str, Any], output_channel: str, **placeholders: str) -> str:
        """The text of a response that must exist.

        Raises:
            KeyError: it does not; Rasa then sends nothing, which is better than an answer without its caveat.
        """
        draft = self.generate_from_slots(name, named, output_channel, **placeholders)
        if draft is None:
            raise KeyError(name)
        return str(draft["text"])

    def _source_link(self, source: str) -> dict[str, str]:
        """A source as a reader meets it: `id`, `label`, `kind`, and `url` where there is one."""
        entry = self._sources.get(source) or {}
        link = {"id": source, "label": str(entry.get("label") or source), "kind": str(entry.get("kind") or "other")}
        return link | ({"url": str(entry["url"])} if entry.get("url") else {})


def _fits(variation: Draft, named: dict[str, Any]) -> bool:
    return all(named.get(condition["name"]) == condition["value"] for condition in variation.get("condition") or [])


def _grade(fact: dict[str, Any]) -> str:
    """The evidence grade of an answer; one that is missing or misspelled counts as the weakest."""
    grade = str(fact.get("evidence"))
    return grade if grade in GRADES else GRADES[0]


def readable(reviewed: str) -> str:
    """A date of the content, such as "2026-11-23", as people write it."""
    return day_in_words(date.fromisoformat(reviewed))
