"""The archive of the evidence, made from what is recorded in this checkout. Its metadata is held to what RO-Crate 1.2 says MUST be
there ("Root Data Entity", "Data Entities").
"""

import datetime
import hashlib
import json
import re
import shutil
import zipfile
from urllib.parse import unquote

import pytest

from workflow.__main__ import main

pytestmark = pytest.mark.slow

ARGUMENTS = ["bundle", "--out", "evidence.zip"]


@pytest.fixture
def checkout(root, tmp_path, monkeypatch):
    """A folder with a copy of what is recorded."""
    shutil.copytree(root / "results" / "recorded", tmp_path / "results" / "recorded")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_recorded_evidence_in_one_archive(checkout, capsys):
    (checkout / "results/recorded/cpu-primer/train.pt").touch()  # a checkpoint that someone left
    assert main(ARGUMENTS) == 0
    with zipfile.ZipFile("evidence.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    recorded = {path.relative_to(checkout).as_posix() for path in (checkout / "results").rglob("*.*") if path.is_file()}
    assert {name for name in files if name.startswith("results/")} == {r for r in recorded if not r.endswith(".pt")}

    # Every link of the pages to a file leads to one in the archive.
    for name in ("index.html", "runs.html"):
        page = files[f"reports/bundle/{name}"].decode()
        links = [unquote(link) for link in re.findall(r'href="([^"#:]+)["#]', page)]
        assert links
        for link in links:
            target = (checkout / "reports/bundle" / link).resolve().relative_to(checkout.resolve()).as_posix()
            assert target in files, link

    crate = json.loads(files["ro-crate-metadata.json"])
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert crate["@context"] == "https://w3id.org/ro/crate/1.2/context" and len(entities) == len(crate["@graph"])
    descriptor = entities["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork" and descriptor["conformsTo"] == {
        "@id": "https://w3id.org/ro/crate/1.2"
    }
    root = entities[descriptor["about"]["@id"]]
    assert root["@id"] == "./" and root["@type"] == "Dataset" and root["name"] and root["description"]
    assert entities[root["license"]["@id"]].keys() >= {"name", "description"}
    datetime.datetime.fromisoformat(root["datePublished"])
    described = {unquote(part["@id"]): entities[part["@id"]] for part in root["hasPart"]}
    assert described.keys() == files.keys() - {"ro-crate-metadata.json"}
    for name, entity in described.items():
        assert entity["@type"] == "File" and re.fullmatch(r"[a-z]+/[\w.+-]+", entity["encodingFormat"])
        assert (
            entity["contentSize"] == str(len(files[name]))
            and entity["sha256"] == hashlib.sha256(files[name]).hexdigest()
        )
    references = re.findall(r'\{\s*"@id": "([^"]+)"\s*\}', files["ro-crate-metadata.json"].decode())
    assert set(references) <= entities.keys() | {"https://w3id.org/ro/crate/1.2"}


def test_what_cannot_be_packed_is_said_and_nothing_is_written(checkout, capsys):
    searches = sorted((checkout / "results/recorded").rglob("search.json"))
    record = next(path for path in searches if not path.with_name("result.json").exists())
    trained = next(path for path in searches if path.with_name("result.json").exists())

    def refused(*more):
        assert main([*ARGUMENTS, *more]) == 1
        assert not (checkout / "evidence.zip").exists()
        assert not (checkout / "reports").exists()  # no page is drawn for what is not packed
        return capsys.readouterr().err

    odd = record.with_name("\udcff.json")  # as a name that is no UTF-8 is read
    odd.write_text("{}")
    assert "has a name that cannot be packed" in refused()
    odd.unlink()

    assert "made up" in refused("--preset", "smoke")
    for path in (record, trained):
        whole = path.read_text()
        path.write_text(whole.replace("7", "8", 1))  # a digit that changed on a disk
        assert re.search(
            rf"damaged \({re.escape(str(path.parent.relative_to(checkout)))}.*: restore or delete it", refused()
        )
        path.write_text(whole)
    shutil.rmtree(checkout / "results")
    assert "no evidence" in refused()
    (checkout / "evidence.zip").write_text("another's")
    assert main(ARGUMENTS) == 1 and (checkout / "evidence.zip").read_text() == "another's"
