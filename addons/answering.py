"""Every word the assistant says passes here: the curated text, and under each answer how limited the evidence is.

Rasa calls this class for every `utter_*` on every channel (`nlg: type:` in endpoints.yml), so this is the one place where the
caveat, the sources and the date are joined to an answer, in the same message. Wording lives in data/.
"""

from datetime import date
from typing import Any

from rasa.core.nlg.response import TemplatedNaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from addons.clinic import read_clinic
from addons.configuration import ROOT, ConfigurationError, read_mapping

TOPIC_INTENT = "faq_"
ANSWER = "utter_faq_"
CAVEAT = "utter_evidence_caveat"
SOURCES = "utter_sources"
# Weakest first: several answers in one message carry the weakest grade, and so does an answer that names none.
GRADES = ("none", "very_low", "low", "moderate", "good")
OFFERING = ("utter_fallback", "utter_out_of_scope")
OFFERED = 3

Draft = dict[str, Any]


class CuratedAnswers(TemplatedNaturalLanguageGenerator):
    """Rasa's templated responses, plus the caveat, sources and date under every answer."""

    def __init__(self, endpoint_config: EndpointConfig, domain: Domain) -> None:
        """Read the sources and the clinic's settings once.

        Args:
            endpoint_config: the `nlg` block of endpoints.yml, with `sources` and `clinic`: paths from the project's root.
            domain: the domain; Rasa hands over the model's responses later.

        Raises:
            ConfigurationError: one of the two files cannot be used.
        """
        super().__init__(domain.responses)
        settings = endpoint_config.kwargs
        self._sources = read_mapping(ROOT / settings["sources"])
        self._placeholders = read_clinic(ROOT / settings["clinic"]).placeholders()

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

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> Draft | None:
        """What to say for an `utter_*` action.

        Args:
            utter_action: the response's name.
            tracker: the conversation; its last message says what was asked.
            output_channel: the channel's name.
            kwargs: further placeholder values, from a custom action.

        Returns:
            The message with `text`, perhaps `buttons`, and as further keys the facts that Rasa stores as the event's
            metadata; None when the response does not exist.
        """
        asked = tracker.latest_message.parse_data if tracker.latest_message else {}
        slots = tracker.current_slot_values()
        if utter_action.startswith(ANSWER):
            return self._answer(self._asked_topics(utter_action, asked, slots), output_channel, kwargs)
        draft = self.generate_from_slots(utter_action, slots, output_channel, **kwargs)
        if draft is None:
            return None
        metadata = draft.pop("metadata", None) or {}
        draft.update({key: metadata[key] for key in ("safety", "reviewed", "sources") if key in metadata})
        if utter_action in OFFERING:
            self._offer(draft, asked)
        return draft

    def generate_from_slots(
        self, utter_action: str, filled_slots: dict[str, Any], output_channel: str, **kwargs: Any
    ) -> Draft | None:
        """Rasa's own filling of a response, with the clinic's settings as further placeholders."""
        draft: Draft | None = super().generate_from_slots(
            utter_action, filled_slots, output_channel, **{**self._placeholders, **kwargs}
        )
        return draft

    def _random_response_for(
        self, utter_action: str, output_channel: str, filled_slots: dict[str, Any]
    ) -> Draft | None:
        """The first variation that fits: the file's order decides, never chance."""
        for variation in self.responses.get(utter_action, []):
            conditions = variation.get("condition") or []
            if variation.get("channel") in (None, output_channel) and all(
                filled_slots.get(condition["name"]) == condition["value"] for condition in conditions
            ):
                return variation
        return None

    def _asked_topics(
        self, utter_action: str, asked: dict[str, Any], slots: dict[str, Any]
    ) -> list[tuple[str, dict[str, Any]]]:
        """The answers wanted, as (response, what was named with the question).

        The last message's questions count when it asked for this answer; otherwise the response is said by itself, for
        what the conversation's slots hold.
        """
        questions = [
            (f"utter_{question['intent']}", question)
            for question in asked.get("questions") or []
            if str(question.get("intent", "")).startswith(TOPIC_INTENT)
        ]
        return questions if questions and questions[0][0] == utter_action else [(utter_action, slots)]

    def _answer(
        self, wanted: list[tuple[str, dict[str, Any]]], output_channel: str, kwargs: dict[str, Any]
    ) -> Draft | None:
        """One message: the answers in the order asked, then the caveat and the sources, once."""
        drafts = [
            (name, draft)
            for name, named in wanted
            if (draft := self.generate_from_slots(name, named, output_channel, **kwargs)) is not None
        ]
        if not drafts:
            return None
        facts = [draft.get("metadata") or {} for _, draft in drafts]
        concern = next((named.get("concern") for _, named in wanted if named.get("concern")), None)
        grade = min((_grade(fact) for fact in facts), key=GRADES.index)
        sources = list(dict.fromkeys(source for fact in facts for source in fact.get("sources") or []))
        reviewed = min((str(fact["reviewed"]) for fact in facts if fact.get("reviewed")), default=None)
        caveat = " ".join(
            self._text(name, {"concern": concern}, output_channel) for name in (f"utter_evidence_{grade}", CAVEAT)
        )
        lines = [
            draft["text"] if len(drafts) == 1 else f"{fact.get('title', '')}\n{draft['text']}"
            for (_, draft), fact in zip(drafts, facts)
        ]
        lines.append(caveat)
        if sources and reviewed:
            lines.append(
                self._text(
                    SOURCES,
                    {},
                    output_channel,
                    sources=" · ".join(self._source_label(source) for source in sources),
                    reviewed=_readable(reviewed),
                )
            )
        message = drafts[0][1]
        message.pop("metadata", None)
        message.pop("condition", None)
        message["text"] = "\n".join(lines)
        message.update(
            topics=[name.removeprefix(ANSWER) for name, _ in drafts],
            concern=concern,
            evidence=grade,
            sources=sources,
            reviewed=reviewed,
            caveat=caveat,
        )
        return message

    def _offer(self, draft: Draft, asked: dict[str, Any]) -> None:
        """Add the nearest topics as questions to tap. The button's payload is the question itself, so that tapping says
        what typing would, on every channel."""
        nearest = [
            entry["name"]
            for entry in asked.get("intent_ranking") or []
            if entry["name"].startswith(TOPIC_INTENT) and f"utter_{entry['name']}" in self.responses
        ][:OFFERED]
        titles = [self.responses[f"utter_{intent}"][0].get("metadata", {}).get("title") for intent in nearest]
        draft["offered"] = nearest
        draft["buttons"] = [{"title": title, "payload": title} for title in titles if title]

    def _text(self, name: str, named: dict[str, Any], output_channel: str, **placeholders: str) -> str:
        """The text of a response that must exist.

        Raises:
            KeyError: it does not; Rasa then sends nothing, which is better than an answer without its caveat.
        """
        draft = self.generate_from_slots(name, named, output_channel, **placeholders)
        if draft is None:
            raise KeyError(name)
        return str(draft["text"])

    def _source_label(self, source: str) -> str:
        return str((self._sources.get(source) or {}).get("label") or source)


def _grade(fact: dict[str, Any]) -> str:
    """The evidence grade of an answer; one that is missing or misspelled counts as the weakest."""
    grade = str(fact.get("evidence"))
    return grade if grade in GRADES else GRADES[0]


def _readable(reviewed: str) -> str:
    day = date.fromisoformat(reviewed)
    return f"{day.day} {day:%B %Y}"
