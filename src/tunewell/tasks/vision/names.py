"""What names of files and folders say: which split they are for, whether they are pictures, whether they count.

Names of splits are known in either case, in several words and with numbers: `Training`, `valid`, `train2017`,
`seg_test`, `images-val`, `TestSet`. `eval` is the test set where there is another validation set and no other test set.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import PurePath

#: The splits of a data set, in the order in which they are shown.
SPLITS = ("train", "val", "test")
_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev", "devel", "development"), "val"),
    **dict.fromkeys(("eval", "evaluation", "evaluate", "holdout"), "val"),
    **dict.fromkeys(("test", "tests", "testing", "tst"), "test"),
}
_EITHER = {"eval", "evaluation", "evaluate", "holdout"}
#: Too short to mean anything within a longer name.
_WHOLE = {"tr": "train", "va": "val", "vl": "val", "te": "test", "ts": "test"}
#: What else may stand in the name of a folder that is a split, and not the class `train station`.
_FILLERS = frozenset(
    (
        *("set", "sets", "data", "dataset", "split", "seg", "part", "dir", "folder"),
        *("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos"),
        *("sample", "samples", "example", "examples"),
    )
)
_COMPOUND = re.compile(f"({'|'.join(sorted(_WORDS, key=len, reverse=True))})({'|'.join(sorted(_FILLERS))})")

#: Files and folders that systems and editors leave behind, in lower case, besides those that begin with `.` or `__`.
_FOREIGN = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "#recycle", "@recycle", "$recycle.bin"),
    *("system volume information", "lost+found", "#snapshot", "@tmp", "node_modules"),
}
#: Stems of documents. Longer ones than these may be the names of pictures: `license_plate_1.txt` is their annotation.
_DOCUMENT_STEMS = re.compile("readme.*|licen[sc]e|copying|changelog|citation|requirements|authors", re.IGNORECASE)
_DOCUMENT_SUFFIXES = {".md", ".rst", ".html", ".htm", ".bib", ".py", ".pyc", ".ipynb", ".sh", ".bat", ".log", ".url"}

#: Formats in Pillow's registry that it can't read by itself (from stubs, by Ghostscript, on Windows only), or that are
#: films, or no pictures.
_UNFIT_FORMATS = {"BUFR", "EPS", "FLI", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"}


def split_of(name: str) -> str:
    """Return the split that a word in a name says, as of `instances_val2017.json` without its ending; empty if none."""
    if name.strip().lower() in _WHOLE:
        return _WHOLE[name.strip().lower()]
    said = {_WORDS[word] for word in _words(name) if word in _WORDS}
    if "train" in said:
        return "train" if "test" not in said else ""
    return "test" if "test" in said else "val" if said else ""


def is_split(name: str) -> bool:
    """Whether a name says a split and nothing else; `train_station` and `crash test` don't."""
    words = set(_words(name))
    return bool(split_of(name)) and words <= {*_WORDS, *_WHOLE, *_FILLERS}


def splits_among(names: Collection[str]) -> dict[str, str]:
    """Return name → split of those that are splits, among the names of the folders (files, cells) of a data set.

    Names with other words are splits only if all names are, training data among them: `fruits_train`, `fruits_test`.
    """
    loose = {name: split for name in names if (split := split_of(name))}
    among_splits = len(loose) == len(names) and {"train"} < set(loose.values())
    found = {name: split for name, split in loose.items() if among_splits or is_split(name)}
    either = [name for name, split in found.items() if split == "val" and _EITHER.intersection(_words(name))]
    rest = {split for name, split in found.items() if name not in either}
    if "val" in rest and "test" not in rest:
        found |= dict.fromkeys(either, "test")
    return found


def are_parts(names: Collection[str]) -> bool:
    """Whether folders only share pictures out, and are no classes: `images_part_1`, `images_part_2`."""
    words = {frozenset(word for word in _words(name) if len(word) > 1) for name in names}
    return len(words) == 1 and bool(_FILLERS & next(iter(words)))


def is_foreign(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a system or an editor has left: it is no part of a data set."""
    return name.startswith((".", "__", "~$")) or name.endswith("~") or name.lower() in _FOREIGN


def is_within_foreign(path: PurePath) -> bool:
    """Whether a path, relative to its data set, is foreign or lies in a folder that is."""
    return any(map(is_foreign, path.parts))


def is_document(name: str) -> bool:
    """Whether a file is about the data set and no part of it: a read-me, a licence, a program."""
    path = PurePath(name)
    return bool(_DOCUMENT_STEMS.fullmatch(path.stem)) or path.suffix.lower() in _DOCUMENT_SUFFIXES


def is_picture(name: str) -> bool:
    """Whether a name has the ending of a picture."""
    return PurePath(name).suffix.lower() in picture_suffixes()


@cache
def picture_suffixes() -> frozenset[str]:
    """Return the endings, in lower case, of all formats that Pillow reads."""
    from PIL import Image  # a base install, without it, can list the tasks

    Image.init()
    readable = {*Image.OPEN, "MPO"} - _UNFIT_FORMATS  # an MPO is opened as the JPEG that it begins with
    return frozenset(ending for ending, format_name in Image.registered_extensions().items() if format_name in readable)


def _words(name: str) -> Iterable[str]:
    """Return the words of a name in lower case: `TrainImages_2` → `train`, `images`; `trainset` → `train`, `set`."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    for word in re.findall(r"[^\W\d_]+", parted):
        compound = _COMPOUND.fullmatch(word)
        yield from compound.groups() if compound else [word]
