"""Organs told by keywords in what submitters wrote, and where a keyword means something else."""

import re

import numpy as np

# The study's own list is lost with its supplement; this one is ours. Words of several organs, such
# as "cortex" (brain, kidney, adrenal), are not here.
ORGANS = {
    "adipose": ("adipose", "adipocyte", "subcutaneous fat", "visceral fat"),
    "adrenal": ("adrenal", "adrenocortical"),
    "bladder": ("bladder", "urothelium", "urothelial"),
    "blood": ("blood", "PBMC", "leukocyte", "buffy coat"),
    "bone": ("bone", "osteoblast", "osteosarcoma"),
    "brain": (
        "brain",
        "cerebellum",
        "cerebral cortex",
        "frontal cortex",
        "prefrontal cortex",
        "hippocampus",
        "hypothalamus",
        "striatum",
        "glioblastoma",
        "glioma",
    ),
    "breast": ("breast", "mammary"),
    "colon": ("colon", "colorectal", "rectum", "rectal"),
    "esophagus": ("esophagus", "oesophagus", "esophageal", "oesophageal"),
    "eye": ("eye", "retina", "retinal", "cornea"),
    "heart": ("heart", "cardiac", "cardiomyocyte", "myocardium", "left ventricle"),
    "kidney": ("kidney", "renal"),
    "liver": ("liver", "hepatic", "hepatocyte", "hepatocellular"),
    "lung": ("lung", "pulmonary", "bronchial", "alveolar"),
    "muscle": ("skeletal muscle", "vastus lateralis", "myoblast", "myotube"),
    "ovary": ("ovary", "ovaries", "ovarian"),
    "pancreas": ("pancreas", "pancreatic", "islet"),
    "placenta": ("placenta", "placental", "trophoblast"),
    "prostate": ("prostate", "prostatic"),
    "skin": ("skin", "dermal", "epidermis", "keratinocyte", "melanoma"),
    "small intestine": ("small intestine", "ileum", "ileal", "jejunum", "duodenum"),
    "spleen": ("spleen", "splenic"),
    "stomach": ("stomach", "gastric"),
    "testis": ("testis", "testes", "testicular"),
    "thyroid": ("thyroid",),
    "uterus": ("uterus", "uterine", "endometrium", "endometrial"),
}

# Phrases, by their beginnings, in which a keyword says nothing about the sample's organ.
_ELSEWHERE = {
    "alveolar": ("alveolar rhabdomyosarcoma", "alveolar soft part sarcoma", "alveolar bone"),
    "bladder": ("gall bladder",),
    "blood": (
        "blood glucose",
        "blood group",
        "blood pressure",
        "blood sugar",
        "blood type",
        "blood vessel",
    ),
    "bone": ("bone marrow", "bone morphogen"),
    "brain": ("brain derived neurotrophic",),
    "breast": ("breast milk",),
    "cardiac": ("cardiac arrest",),
    "eye": ("eye colo",),
    "gastric": ("gastric arter", "gastric bypass", "gastric inhibitory polypeptide"),
    "heart": ("heart attack", "heart rate"),
    "hepatic": ("hepatic arter",),
    "hepatocyte": ("hepatocyte growth factor", "hepatocyte nuclear factor"),
    "keratinocyte": ("keratinocyte growth factor",),
    "liver": ("liver x receptor",),
    "mammary": ("mammary arter",),
    "pulmonary": ("pulmonary arter",),
    "renal": ("renal arter",),
    "skin": ("skin colo", "skin type"),
    "splenic": ("splenic arter",),
    "uterine": ("uterine arter",),
}

_WORD = re.compile(r"[^\W\d_]+|\d+|[|,;]")


def keywords_of(organs) -> dict[str, list[str]]:
    """Return for each organ its keywords as `_words` has them, in singular and plural."""
    if organs is None:
        organs = ORGANS
    if isinstance(organs, str):
        organs = [organs]
    if not hasattr(organs, "items"):
        unknown = [name for name in organs if name not in ORGANS]
        if unknown:
            raise ValueError(
                f"Unknown organs {unknown}. Known are {list(ORGANS)}; for others pass a dict of "
                "organ to keywords."
            )
        organs = {name: ORGANS[name] for name in organs}
    if not organs:
        raise ValueError("organs is empty: give at least one organ with its keywords.")
    keywords = {}
    for organ, names in organs.items():
        names = [names] if isinstance(names, str) else list(names)
        words = [_words(name) for name in names if isinstance(name, str)]
        if not names or len(words) < len(names) or not all(word.strip(" |,;") for word in words):
            raise ValueError(f"Organ {organ!r} needs keywords that are words, got {names}.")
        keywords[organ] = words + [f"{word[:-1]}s " for word in words]
    return keywords


def _words(text: str) -> str:
    """Return the words of a text in lower case, with a space around each.

    A word is of letters or of digits, so that "Liver_2" and "liver2" have the word "liver". What
    ends a field or an entry is a word too, so that no keyword reaches over it.
    """
    return f" {' '.join(_WORD.findall(text.lower()))} "


def find_organs(text: np.ndarray, keywords: dict[str, list[str]]):
    """Return the last organ that each text matches, and how many do."""
    label = np.full(len(text), "", dtype=object)
    matches = np.zeros(len(text), dtype=int)
    lines = [_words(line) for line in text]
    for organ, names in keywords.items():
        # Plain substrings: there are 800,000 texts, and regular expressions take minutes.
        found = np.array([any(_means(name, line) for name in names) for line in lines], dtype=bool)
        label[found] = organ
        matches += found
    return label, matches


def _means(keyword: str, line: str) -> bool:
    """Tell whether a keyword is in a line, and not only as part of phrases of another meaning."""
    if keyword not in line:
        return False
    for phrase in _ELSEWHERE.get(keyword.strip(), ()):
        line = line.replace(f" {phrase}", " | ")
    return keyword in line
