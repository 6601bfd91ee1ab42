"""What the licences of models say of works derived from them, such as a map that was fitted between two models.

Short statements in the licences' own terms, by the names that the registry has, each checked against the text that is
named above it; no legal advice. None of them names a map between two models' caches. Gemma's terms and DeepSeek's
licence come nearest: both count among a model's derivatives another model that is made by transfer of patterns of its
weights or outputs so that it performs similarly. A licence whose text was not read for this is missing: what it allows
is not known. That holds of Mistral's, xAI's and the Qwen License Agreement, and of Tongyi Qianwen's, whose name covers
two texts of which one was read.
"""

DERIVED_WORKS = {
    # https://www.apache.org/licenses/LICENSE-2.0, as Debian has it in /usr/share/common-licenses/Apache-2.0
    "Apache-2.0": "Derived works may be made and distributed, also commercially, with a copy of the licence, its "
    "notices, and a statement in the files that were changed (sections 2 and 4).",
    # https://opensource.org/license/mit
    "MIT": "May be changed, merged, distributed and sold, with the copyright and permission notice (second and third "
    "paragraph).",
    # https://creativecommons.org/licenses/by-nc/4.0/legalcode.txt, read in
    # https://github.com/creativecommons/creativecommons.org, docroot/legalcode/by-nc_4.0.txt
    "CC-BY-NC-4.0": "Adapted material may be made and shared for non-commercial purposes only (section 2.a.1), with "
    "attribution and a note of what was changed (section 3.a).",
    # https://github.com/meta-llama/llama/blob/689c7f261b9c5514636ecc3c5fefefcbb3e6eed7/LICENSE
    "Llama 2 Community License": "Derived works may be made and distributed (section 1.a) with a copy of the agreement "
    "(1.b.i); neither the model nor its outputs may improve another large language model (1.b.v); above 700 million "
    "monthly users a licence must be asked for (section 2).",
    # https://github.com/meta-llama/llama3/blob/2a6e3d768cab8fea5bee6e181b7e83c54d5e1a0e/LICENSE
    "Meta Llama 3 Community License": "Derived works may be made and distributed (section 1.a) with a copy of the "
    "agreement and 'Built with Meta Llama 3'; the name of a model made with it begins with 'Llama 3' (1.b.i); neither "
    "the model nor its outputs may improve another large language model (1.b.v); above 700 million monthly users a "
    "licence must be asked for (section 2).",
    # https://github.com/meta-llama/llama-models/blob/47401a87273be9e4bc7612f4f8c25acaee9a2968/models/llama3_1/LICENSE
    "Llama 3.1 Community License": "Derived works may be made and distributed (section 1.a) with a copy of the "
    "agreement and 'Built with Llama'; the name of a model made with it or its outputs begins with 'Llama' (1.b.i); "
    "above 700 million monthly users a licence must be asked for (section 2).",
    # https://ai.google.dev/gemma/terms (24 March 2025), read in copies of it in public repositories
    "Gemma Terms of Use": "Derivatives, among them works based on Gemma and models made by transfer of patterns of its "
    "weights or outputs to perform similarly (section 1.1.e), may be distributed with the agreement, its restrictions "
    "of use as an enforceable provision, a note of what was changed, and a notice (sections 2.2, 3.1 and 3.2).",
    # https://github.com/deepseek-ai/DeepSeek-V3/blob/0c23830e9e03ad9f7152364667110360e2141a3a/LICENSE-MODEL (version
    # 1.0, 23 October 2023), which DeepSeek-LLM, DeepSeek-Coder and DeepSeek-V2 have too
    "DeepSeek License Agreement": "Derivatives, among them models made by transfer of patterns of its weights, "
    "activations or outputs to perform similarly (section 1), may be made and distributed (sections 2 and 4) with a "
    "copy of the licence, its notices, a note of what was changed, and its restrictions of use as an enforceable "
    "provision (section 4 and attachment A).",
}


def derived_works(licence: str | None) -> str | None:
    """Return what a licence says of works derived from the model; None where that is not known."""
    return DERIVED_WORKS.get(licence or "")
