"""What the licences of models say of works derived from them, such as a map that was fitted between two models.

Short statements in the licences' own terms, by the names that the registry has; no legal advice: whether a fitted map
is a derived work, none of them says. A licence that is missing here was not read for this: what it allows is not known.
"""

DERIVED_WORKS = {
    "Apache-2.0": "Derived works may be made and distributed, also commercially, with the licence, its notices and a "
    "statement of what was changed (sections 2 and 4).",
    "MIT": "May be changed, merged and distributed, also commercially, with the copyright and permission notice.",
    "CC-BY-NC-4.0": "Adapted material may be made and shared for non-commercial purposes only, with attribution "
    "(sections 2 and 3).",
    "Llama 2 Community License": "Derived works may be made and distributed with the agreement and its notice; neither "
    "the model nor its outputs may improve another large language model (section 1.b).",
    "Meta Llama 3 Community License": "Derived works may be made and distributed with the agreement, its notice and "
    "'Built with Meta Llama 3'; neither the model nor its outputs may improve another large language model (section "
    "1.b).",
    "Llama 3.1 Community License": "Derived works may be made and distributed with the agreement, its notice and "
    "'Built with Llama'; a model made with it or its outputs begins its name with 'Llama' (section 1.b).",
    "Gemma Terms of Use": "Derivatives may be made and distributed with the terms, their restrictions of use, and a "
    "notice (sections 3.1 and 3.2).",
}


def derived_works(licence: str | None) -> str | None:
    """Return what a licence says of works derived from the model; None where that is not known."""
    return DERIVED_WORKS.get(licence or "")
