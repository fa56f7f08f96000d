"""Tables of English abbreviations, written without their last full stop."""

from __future__ import annotations

# Any case; with the full stop. The sentence splitter reads this table and ``TITLES``, too.
ABBREVIATIONS = {
    **{"mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "messrs": "messieurs"},
    **{"mme": "madame", "jr": "junior", "sr": "senior", "esq": "esquire", "st": "street"},
    **{"etc": "et cetera", "vs": "versus", "inc": "incorporated", "ltd": "limited"},
    **{"corp": "corporation", "bros": "brothers", "dept": "department", "govt": "government"},
    **{"e.g": "for example", "i.e": "that is", "cf": "compare", "al": "al", "viz": "namely"},
    **{"approx": "approximately", "est": "established", "ave": "avenue", "blvd": "boulevard"},
    **{"rd": "road", "hwy": "highway", "pkwy": "parkway", "ln": "lane", "mt": "mount"},
    **{"ft": "fort", "ph.d": "p h d"},
    **{"assn": "association", "assoc": "association", "univ": "university"},
    **{"tel": "telephone", "ext": "extension", "apt": "apartment"},
    **{"misc": "miscellaneous", "mfg": "manufacturing", "intl": "international"},
}
# Read as words when written small ("rev the engine"), so these count with a capital only.
TITLES = {
    **{"Prof": "professor", "Gen": "general", "Capt": "captain", "Col": "colonel"},
    **{"Lt": "lieutenant", "Rev": "reverend", "Hon": "honorable", "Co": "company"},
    **{"Sgt": "sergeant", "Maj": "major", "Adm": "admiral", "Gov": "governor"},
    **{"Sen": "senator", "Rep": "representative", "Pres": "president", "Cpl": "corporal"},
    **{"Cmdr": "commander", "Pvt": "private", "Supt": "superintendent", "Insp": "inspector"},
    **{"Det": "detective", "Fr": "father", "Msgr": "monsignor", "Amb": "ambassador"},
    **{"Mlle": "mademoiselle", "Atty": "attorney", "Sec": "secretary", "Ex": "ex"},
}
# Only in front of a number: "No. 5", "pp. 12-15".
BEFORE_NUMBERS = {
    **{"no": "number", "nos": "numbers", "p": "page", "pp": "pages", "pg": "page"},
    **{"vol": "volume", "vols": "volumes", "ch": "chapter", "chap": "chapter", "fig": "figure"},
    **{"figs": "figures", "sec": "section", "art": "article", "ed": "edition", "eq": "equation"},
    **{"ca": "circa", "c": "circa", "pt": "part", "bk": "book", "ex": "example", "vv": "verses"},
    **{"lot": "lot", "op": "opus", "par": "paragraph", "app": "appendix", "tab": "table"},
}
MONTHS = (
    "january february march april may june july august september october november december".split()
)
MONTH_NUMBERS = {
    **{name: number for number, name in enumerate(MONTHS, 1)},
    **{name[:3]: number for number, name in enumerate(MONTHS, 1)},
    "sept": 9,
}
WEEKDAYS = {
    **{"mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday"},
    **{"thu": "thursday", "thur": "thursday", "thurs": "thursday", "fri": "friday"},
    **{"sat": "saturday", "sun": "sunday"},
}
# In front of a name "St." is Saint, behind one Street; these names decide between two.
SAINTS = frozenset(
    "paul peter john mary louis james george andrew patrick thomas nicholas francis anthony "
    "augustine bernard catherine christopher clair david denis elizabeth helena helens jerome "
    "joseph kitts lawrence lucia lucie luke mark martin matthew michael petersburg stephen "
    "vincent vitus germain moritz tropez johns pauls pancras albans ives pierre jean".split()
)
# Words that begin sentences: a full stop in front of them ends one, abbreviation or not.
STARTERS = frozenset(
    "A An And As At But By For From He Her His How If In It Its My No Now Of On One Our She So "
    "Some That The Their Then There These They This Those Three To Two We What When Where Which "
    "While Who Why With Yes You Your".split()
)
