"""The erasable table of what persons write about an artefact."""

from marketplace.artefacts.models import ArtefactText
from marketplace.texts.erasable import Texts

TEXTS = Texts(ArtefactText, "artefact_id")
